/** What a request's media are judged by before it is queued: bytes, files of the workspace, addresses. */
import type { Kind } from '#catalogue';
import type { FileStore } from '#database';
import { InvalidInput, NotFound } from '#domain';
import { judgeInline } from '#media';
import type { Outbound } from '#outbound';
import type { Route } from '#providers';

/** @param body parsed. @throws InvalidInput */
export async function validateMedia(
  workspaceId: string,
  kind: Kind,
  body: unknown,
  { provider, model }: Route,
  deps: { files: Pick<FileStore, 'get'>; outbound: Pick<Outbound, 'checkUrl'> },
): Promise<void> {
  const slots = kind.media?.(body) ?? [];
  if (slots.length === 0) return;
  if (kind.modalities.in.includes('text') && (await provider.acceptsImages?.(model)) === false) {
    throw new InvalidInput('This model takes no images. Leave them out, or use a model with vision.', {
      code: 'model_without_vision',
      param: slots[0]!.param,
    });
  }
  const { files, urls } = await judgeInline(slots);
  for (const { id, param } of files) {
    await deps.files.get(workspaceId, id).catch((error: unknown) => {
      if (!(error instanceof NotFound)) throw error;
      const message = `'${param}': no such file. Upload it to /v1/files with purpose=user_data first.`;
      throw new InvalidInput(message, { code: 'file_not_found', param });
    });
  }
  for (const { url, param } of urls) {
    await deps.outbound.checkUrl(url).catch((error: unknown) => {
      if (!(error instanceof InvalidInput)) throw error;
      throw new InvalidInput(`'${param}': ${error.message}`, { code: error.code, param });
    });
  }
}
