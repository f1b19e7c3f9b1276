/** The suite that every object storage must pass. Each adapter's spec calls it with a function that creates an empty storage. */
import { testAborts } from './abort.ts';
import { testConditions } from './conditions.ts';
import { testKeys } from './keys.ts';
import { testListsAndDeletions } from './list-and-delete.ts';
import { testPuts } from './put.ts';
import { testReads } from './read.ts';
import { testSegments } from './segments.ts';
import { listKeys, type StorageUnderTest } from './subject.ts';

export function objectStorageConformance(name: string, create: () => Promise<StorageUnderTest>): void {
  describe(`object storage: ${name}`, () => {
    let storage: StorageUnderTest;
    const subject = () => storage;
    // One storage for all tests: on S3 a bucket for each of 99 tests took a third of the time.
    beforeAll(async () => {
      storage = await create();
    });
    afterEach(async () => {
      expect(await storage.countUnfinished()).toBe(0);
      await storage.objects.delete(await listKeys(storage.objects));
    });
    afterAll(async () => {
      await storage.objects.close();
      await storage.cleanup();
    });

    testPuts(subject);
    testConditions(subject);
    testReads(subject);
    testKeys(subject);
    testAborts(subject);
    testListsAndDeletions(subject);
    testSegments(subject);
  });
}
