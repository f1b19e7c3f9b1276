import { parseRange } from './byte-range.ts';

describe('the Range header', () => {
  const served: [string, number, number, number][] = [
    ['bytes=0-0', 10, 0, 0],
    ['bytes=0-9', 10, 0, 9],
    ['bytes=9-9', 10, 9, 9],
    ['bytes=2-5', 10, 2, 5],
    ['bytes=5-', 10, 5, 9],
    ['bytes=0-', 10, 0, 9],
    ['bytes=0-', 1, 0, 0],
    ['bytes=4-100', 10, 4, 9],
    ['bytes=4-99999999999999999999999999', 10, 4, 9],
    [`bytes=4-${'9'.repeat(400)}`, 10, 4, 9],
    ['bytes=-1', 10, 9, 9],
    ['bytes=-10', 10, 0, 9],
    ['bytes=-11', 10, 0, 9],
    ['bytes=-99999999999999999999999999', 10, 0, 9],
    ['bytes=007-008', 10, 7, 8],
    ['BYTES=1-2', 10, 1, 2],
    [' bytes = 1-2 ', 10, 1, 2],
    ['bytes=,1-2 , ', 10, 1, 2],
    ['bytes=10000000000-10000000001', 20_000_000_000, 10_000_000_000, 10_000_000_001],
  ];
  test.each(served)('%p of %i bytes', (header, totalBytes, start, end) => {
    expect(parseRange(header, totalBytes)).toEqual({ start, end });
  });

  const ignored = [
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=1-2x',
    'bytes=1',
    'bytes=--1',
    'bytes=+1-2',
    'bytes=1.0-2',
    'bytes=0x1-2',
    'bytes=1e0-2',
    'bytes=1 - 2',
    'bytes=١-٢',
    'bytes=0-0,2-3',
    'bytes=0-0,junk',
    'lines=0-1',
    'xbytes=0-1',
    '0-1',
  ];
  test.each(ignored)('%p is ignored: the whole file is served', (header) => {
    expect(parseRange(header, 10)).toBeNull();
  });

  const refused: [string, number][] = [
    ['bytes=10-', 10],
    ['bytes=10-10', 10],
    ['bytes=99999999999999999999-', 10],
    [`bytes=${'9'.repeat(400)}-`, 10],
    ['bytes=0-0', 0],
    ['bytes=0-', 0],
    ['bytes=-0', 10],
    ['bytes=-0', 0],
  ];
  test.each(refused)('%p of %i bytes is not satisfiable', (header, totalBytes) => {
    expect(() => parseRange(header, totalBytes)).toThrow(
      expect.objectContaining({ name: 'InvalidInput', code: 'range_not_satisfiable', param: 'range' }),
    );
  });

  test('the last bytes of an empty file are the whole file', () => {
    expect(parseRange('bytes=-5', 0)).toBeNull();
  });
});
