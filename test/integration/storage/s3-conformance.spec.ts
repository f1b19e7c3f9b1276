/** The conformance suite on the S3 server of the tests. */
import { describeOnS3 } from '../../support/s3.ts';
import { objectStorageConformance } from './conformance/index.ts';
import { createS3UnderTest } from './s3-fixture.ts';

describeOnS3('object storage on S3', (server) => {
  objectStorageConformance('S3', () => createS3UnderTest(server));
});
