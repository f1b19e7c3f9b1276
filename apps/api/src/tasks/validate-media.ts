/** Validates the media of a request before it is queued: inline bytes, files of the workspace, URLs. */
import type { ErrorCode } from '@millrace/contracts';
import type { Kind } from '#catalogue';
import type { FileStore } from '#database';
import { InvalidInput, NotFound } from '#domain';
import { validateInlineMedia } from '#media';
import type { Outbound } from '#outbound';
import type { Route } from '#providers';

/** @param body parsed. @throws InvalidInput */
export async function validateMedia(
  workspaceId: string,
  kind: Kind,
  body: unknown,
  route: Route,
  deps: { readonly files: Pick<FileStore, 'get'>; readonly outbound: Pick<Outbound, 'checkUrl'> },
): Promise<void> {
  const fields = kind.listMediaFields?.(body) ?? [];
  if (fields.length === 0) return;
  if (kind.modalities.in.includes('text') && (await route.provider.acceptsImages?.(route)) === false) {
    throw new InvalidInput('This model does not accept images. Remove them, or use a model that does.', {
      code: 'images_not_supported',
      param: fields[0]!.param,
    });
  }
  const { files, urls } = await validateInlineMedia(fields);
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
      throw new InvalidInput(`'${param}': ${error.message}`, { code: error.code as ErrorCode, param });
    });
  }
}
