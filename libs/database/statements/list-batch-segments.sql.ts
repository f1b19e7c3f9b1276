/**
 * Lists the segments of a batch's chunks, in the order of its lines, as a file's segments. No byte is copied.
 * `$1` file, `$2` batch. One statement for the output file, one for the error file.
 */
const listSegments = (key: string, bytes: string, lines: string) => `
  insert into file_segments (file_id, position, object_key, bytes, lines)
  select $1, row_number() over (order by index) - 1, ${key}, ${bytes}, ${lines}
  from chunks
  where batch_id = $2 and ${key} is not null`;

export const listOutputSegments = listSegments('output_key', 'output_bytes', 'completed');
export const listErrorSegments = listSegments('error_key', 'error_bytes', 'failed + canceled + expired');
