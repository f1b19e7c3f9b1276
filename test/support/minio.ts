/** MinIO in a Docker container, if Docker is available. */
import { existsSync } from 'node:fs';
import type { S3Server } from './s3.ts';

/** The last release that was published as an image. */
const image = 'minio/minio:RELEASE.2025-09-07T16-13-09Z';

export interface Minio extends S3Server {
  stop(): Promise<void>;
}

/** @returns null, with a warning, if Docker does not respond or the image is not available. */
export async function startMinio(): Promise<Minio | null> {
  if (!process.env['DOCKER_HOST'] && !existsSync('/var/run/docker.sock'))
    return notRun('Docker is not installed');
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers');
  const runtime = await getContainerRuntimeClient().catch(() => null);
  if (!runtime) return notRun('Docker does not respond');
  const credentials = { accessKeyId: 'millrace', secretAccessKey: 'millrace-secret' };
  try {
    const container = await new GenericContainer(image)
      .withCommand(['server', '/data'])
      .withEnvironment({
        MINIO_ROOT_USER: credentials.accessKeyId,
        MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
      })
      .withExposedPorts(9000)
      .withWaitStrategy(Wait.forHttp('/minio/health/live', 9000))
      .start();
    return {
      ...credentials,
      endpoint: `http://${container.getHost()}:${container.getMappedPort(9000)}`,
      stop: async () => void (await container.stop()),
    };
  } catch (error) {
    const message = (error as Error).message;
    if (!/pull|manifest|not found|no such image|registry|lookup/i.test(message)) throw error;
    return notRun(`the image is not available (${message.slice(0, 200)})`);
  }
}

function notRun(reason: string): null {
  console.warn(`\n${'*'.repeat(78)}\n** NOT RUN ON MINIO: ${reason}\n${'*'.repeat(78)}\n`);
  return null;
}
