import type { Line } from '#domain';
import { forEachSeed, type Random } from '../../../../../test/support/random.ts';
import { ChunkCutter } from './chunk-cutter.ts';

/** Lines as the splitter returns them: blank lines are missing, but their bytes and numbers are counted. */
function randomLines(random: Random): Line[] {
  const lines: Line[] = [];
  let start = random.isTrue(0.2) ? 3 : 0;
  for (let number = 1; number <= 120; number++) {
    const length = random.int(1, 60);
    if (random.isTrue(0.8)) lines.push({ number, start, length, bytes: Buffer.alloc(0) });
    start += length;
  }
  return lines;
}

test('puts every line into exactly one chunk, in order, within the limits or alone', () =>
  forEachSeed(60, (random) => {
    const limits = {
      maxLines: random.int(1, 20),
      maxBytes: random.int(1, 400),
      maxAnswerBytes: random.int(1, 400),
    };
    const cutter = new ChunkCutter(limits);
    const lines = randomLines(random);
    const answers = lines.map(() => random.int(0, 100));
    const chunks = lines.flatMap((line, at) => {
      cutter.add(line, answers[at]!);
      return random.isTrue(0.1) ? cutter.take() : [];
    });
    chunks.push(...cutter.end());
    expect(chunks.map(({ index }) => index)).toEqual(chunks.map((_, at) => at));
    expect(cutter.count).toBe(chunks.length);
    let at = 0;
    for (const chunk of chunks) {
      const inside = lines.slice(at, at + chunk.lines);
      const last = inside.at(-1)!;
      expect(chunk).toMatchObject({ firstLine: inside[0]!.number, byteStart: inside[0]!.start });
      expect(chunk.byteStart + chunk.byteLength).toBe(last.start + last.length);
      expect(chunk.lines).toBeLessThanOrEqual(limits.maxLines);
      const answerBytes = answers.slice(at, at + chunk.lines).reduce((sum, bytes) => sum + bytes, 0);
      if (chunk.lines > 1) {
        expect(chunk.byteLength).toBeLessThanOrEqual(limits.maxBytes);
        expect(answerBytes).toBeLessThanOrEqual(limits.maxAnswerBytes);
      }
      at += chunk.lines;
    }
    expect(at).toBe(lines.length);
  }));

test('returns no chunk for no lines', () => {
  const cutter = new ChunkCutter({ maxLines: 1, maxBytes: 1, maxAnswerBytes: 1 });
  expect(cutter.readyCount).toBe(0);
  expect(cutter.end()).toEqual([]);
});
