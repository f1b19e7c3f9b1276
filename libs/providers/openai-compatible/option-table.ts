/** What servers with OpenAI's API do with the options of each kind: most have the same names. */
import { refused, type OptionTable } from '../option-rules.ts';

export const openAIOptionTable: OptionTable = {
  rules: {
    embeddings: {
      encoding_format: { applied: 'Millrace writes the answer in it' },
      input_type: {
        refused:
          "OpenAI's API has no such option. Put the prefix that the model expects into the text, for example 'query: …'.",
      },
      user: { applied: 'it names the end user, and changes no answer' },
    },
    'automatic-speech-recognition': {
      timestamps: { as: 'response_format, timestamp_granularities' },
      translate: { as: 'the path /audio/translations' },
    },
    'text-to-speech': { speaker_id: { as: 'voice' } },
    'text-to-image': { width: { as: 'size' }, height: { as: 'size' } },
    reranking: { return_documents: { applied: 'the documents of the request are added to the answer' } },
  },
  checkCombination(kind, input) {
    if (kind === 'automatic-speech-recognition' && input['translate'] === true) {
      if (input['language'] !== undefined)
        throw refused(
          "The server detects the language of speech that it translates. Leave 'language' out.",
          'language',
        );
      if (input['timestamps'] === 'word')
        throw refused("A translation has timestamps of segments. Use 'segment'.", 'timestamps');
    }
    if (kind === 'text-to-speech' && input['voice'] !== undefined && input['speaker_id'] !== undefined)
      throw refused("'voice' and 'speaker_id' name the same thing here. Send one of them.", 'speaker_id');
    if (kind === 'text-to-image') checkImageSize(input);
  },
};

function checkImageSize({ size, width, height }: Readonly<Record<string, unknown>>): void {
  if (size !== undefined && (width !== undefined || height !== undefined))
    throw refused("Send 'size', or 'width' and 'height'.", width !== undefined ? 'width' : 'height');
  if (width !== undefined && height === undefined) throw refused("'width' needs 'height'.", 'width');
  if (height !== undefined && width === undefined) throw refused("'height' needs 'width'.", 'height');
}
