/**
 * Every error code of the API: its HTTP status, what happened and what to do. docs/reference/errors.md is generated from this
 * table, and `Failure` accepts no other code of ours. A provider's own code may be passed on beside these.
 */

export interface ErrorCodeInfo {
  /** HTTP status; null where the code is in a batch line, or follows the provider's status. */
  readonly status: number | null;
  readonly meaning: string;
  readonly action: string;
}

type ErrorCodeTable = Readonly<Record<string, ErrorCodeInfo>>;

const requestsErrors = {
  invalid_request: {
    status: 400,
    meaning: 'A field is missing, unknown or out of range; `param` names it.',
    action: 'Correct the field. The same request fails again.',
  },
  invalid_json: {
    status: 400,
    meaning: 'The body is not valid JSON.',
    action: 'Send one JSON object in UTF-8.',
  },
  invalid_url: { status: 400, meaning: 'The path is not a valid URL path.', action: 'Encode it.' },
  invalid_http: {
    status: 400,
    meaning: 'The request is not valid HTTP.',
    action: 'Check the client or the proxy in between.',
  },
  invalid_content_length: {
    status: 400,
    meaning: '`content-length` does not match the body.',
    action: 'Let the HTTP client set it.',
  },
  invalid_multipart: {
    status: 400,
    meaning: 'The form is incomplete or does not match its boundary.',
    action: 'Let the HTTP client build the form and its content type.',
  },
  too_many_fields: {
    status: 400,
    meaning: 'The form has more fields than the route takes.',
    action: 'Send the documented fields only.',
  },
  unsupported_media_type: {
    status: 415,
    meaning: 'The route does not take this content type.',
    action: 'Send `application/json`, or `multipart/form-data` for files.',
  },
  method_not_allowed: {
    status: 405,
    meaning: 'The path exists, but not with this method.',
    action: 'Use a method that the `Allow` header lists.',
  },
  request_too_large: {
    status: 413,
    meaning: 'The body is larger than 32 MiB.',
    action: 'Upload a file instead.',
  },
  request_aborted: {
    status: 400,
    meaning: 'The client disconnected before the request was read.',
    action: 'Send it again.',
  },
  unknown_url: {
    status: 404,
    meaning: 'No route has this path and method.',
    action: 'See the API reference for the routes.',
  },
  not_found: {
    status: 404,
    meaning: 'Nothing with this id is in the workspace.',
    action: "Check the id and the key's workspace.",
  },
  conflict: {
    status: 409,
    meaning: 'The state of the resource does not allow this.',
    action: 'Read it and decide again.',
  },
  gone: { status: 410, meaning: 'It existed and is no longer kept.', action: 'Read the current state.' },
  idempotency_key_reused: {
    status: 409,
    meaning: 'The key was used with another body.',
    action: 'Use a new key for a new request.',
  },
  invalid_range: {
    status: 400,
    meaning: 'The `Range` is not whole bytes with start ≤ end.',
    action: 'Correct the header.',
  },
  range_not_satisfiable: {
    status: 416,
    meaning: 'The range starts after the end.',
    action: 'Read `bytes` first and request a range within it.',
  },
} as const satisfies ErrorCodeTable;

const accessErrors = {
  invalid_api_key: {
    status: 401,
    meaning: 'There is no key, or it is unknown, expired or revoked.',
    action: 'Send `Authorization: Bearer mr_…`. The first key is in `credentials.json` in the data folder.',
  },
  forbidden: {
    status: 403,
    meaning: 'The key is valid but may not do this.',
    action: 'Use a key with the permission that the message names.',
  },
  operators_only: {
    status: 403,
    meaning: 'Only the workspace that operates the instance may do this.',
    action: 'Ask its operator.',
  },
  permission_denied: {
    status: 403,
    meaning: 'The key lacks the permission that the route needs.',
    action: 'Use a key with the permission that the message names.',
  },
  signed_url_expired: {
    status: 403,
    meaning: 'The signed URL is older than its lifetime.',
    action: 'Read the resource again for a new URL.',
  },
  invalid_signature: {
    status: 403,
    meaning: 'The signed URL was changed, or `MILLRACE_SECRET` was.',
    action: 'Read the resource again for a new URL.',
  },
  invalid_key: {
    status: 400,
    meaning: 'An object key in a URL is malformed.',
    action: 'Use URLs as the API returns them.',
  },
} as const satisfies ErrorCodeTable;

const ratesLimitsErrors = {
  rate_limit_exceeded: { status: 429, meaning: 'Too many requests.', action: 'Wait as `Retry-After` says.' },
  too_large: {
    status: 413,
    meaning: 'A value is over its limit.',
    action: 'Make it smaller; see the limits page.',
  },
  too_many_pending_tasks: {
    status: 429,
    meaning: 'The workspace has as many waiting tasks as it may.',
    action: 'Wait as `Retry-After` says, or send a batch.',
  },
  too_many_pending_lines: {
    status: 429,
    meaning: "The workspace's unfinished batches have as many lines as they may.",
    action: 'Wait as `Retry-After` says.',
  },
  too_many_lines: {
    status: 413,
    meaning: 'One file has more lines than a workspace may have waiting.',
    action: 'Split the file.',
  },
  too_many_streams: {
    status: 429,
    meaning: 'The workspace has 200 event streams open on this API process.',
    action: 'Close one, or use one socket for many subjects.',
  },
  too_many_webhook_endpoints: {
    status: 409,
    meaning: 'The workspace has 100 webhook endpoints.',
    action: 'Delete one.',
  },
} as const satisfies ErrorCodeTable;

const filesUploadsErrors = {
  file_not_found: {
    status: 404,
    meaning: 'No such file in the workspace.',
    action: 'Upload it first, with `purpose=batch` for a batch.',
  },
  file_in_use: {
    status: 409,
    meaning: 'A batch that runs still reads this file.',
    action: 'Cancel the batch or wait for its end.',
  },
  file_not_processed: {
    status: 409,
    meaning: 'The file is still being written.',
    action: 'Wait until its status is `processed`.',
  },
  file_too_large: {
    status: 413,
    meaning: 'The file is larger than `UPLOAD_MAX_BYTES`.',
    action: 'Split it.',
  },
  invalid_file_format: {
    status: 400,
    meaning: 'A batch file must be named `.jsonl` or `.jsonl.gz`.',
    action: 'Rename it, if it is JSONL.',
  },
  invalid_gzip: {
    status: 400,
    meaning: 'The file is named `.gz` but is not complete, valid gzip.',
    action: 'Compress it again.',
  },
  expands_too_much: {
    status: 413,
    meaning: 'The gzip file expands more than the limit.',
    action: 'Upload it uncompressed.',
  },
  wrong_purpose: {
    status: 400,
    meaning: 'The file has another purpose than this use needs.',
    action: 'Upload it with the right `purpose`.',
  },
  upload_not_found: { status: 404, meaning: 'No such upload in the workspace.', action: 'Create one.' },
  upload_completed: {
    status: 409,
    meaning: 'The upload is completed.',
    action: 'Use its file, or create another upload.',
  },
  upload_cancelled: { status: 409, meaning: 'The upload was cancelled.', action: 'Create another upload.' },
  upload_expired: {
    status: 409,
    meaning: 'The upload is older than one hour.',
    action: 'Create another upload.',
  },
  upload_completing: {
    status: 409,
    meaning: 'Another `complete` with other parts or another md5 is running.',
    action: 'Repeat the call after it has ended.',
  },
  empty_part: { status: 400, meaning: 'The part has no bytes.', action: 'Send a part with bytes.' },
  part_not_found: {
    status: 400,
    meaning: '`part_ids` names a part that is not of this upload.',
    action: 'Send the ids that the upload returned.',
  },
  duplicate_part: { status: 400, meaning: '`part_ids` names a part twice.', action: 'Name each part once.' },
  part_too_large: {
    status: 413,
    meaning: 'The part is larger than `UPLOAD_PART_MAX_BYTES`.',
    action: 'Send smaller parts.',
  },
  too_many_parts: { status: 413, meaning: 'The upload has 10,000 parts.', action: 'Use larger parts.' },
  too_many_bytes: {
    status: 413,
    meaning: 'The parts have far more bytes than the upload was created with.',
    action: 'Create an upload with the right `bytes`.',
  },
  bytes_mismatch: {
    status: 400,
    meaning: 'The named parts do not have the size of the upload.',
    action: 'Name all parts, or create an upload with the right `bytes`.',
  },
  md5_mismatch: {
    status: 400,
    meaning: 'The named parts in this order have another MD5.',
    action: 'Check the order and the bytes.',
  },
} as const satisfies ErrorCodeTable;

const batchesErrors = {
  batch_not_found: { status: 404, meaning: 'No such batch in the workspace.', action: 'Check the id.' },
  empty_file: {
    status: null,
    meaning: 'The input file has no line.',
    action: 'Upload a file with at least one line.',
  },
  invalid_json_line: {
    status: null,
    meaning: 'A line is not a JSON object.',
    action: 'Correct the line that `line` names.',
  },
  invalid_line: {
    status: null,
    meaning: 'A line lacks a field or has a wrong one; `param` names it.',
    action: 'Correct the line.',
  },
  line_too_long: {
    status: null,
    meaning: 'A line is longer than `LINE_MAX_BYTES`.',
    action: 'Shorten it; send large media as a file id or a URL.',
  },
  missing_required_parameter: {
    status: null,
    meaning: 'A line lacks a required field.',
    action: 'Add the field that `param` names.',
  },
  duplicate_custom_id: {
    status: null,
    meaning: 'Two lines have the same `custom_id`.',
    action: 'Make it unique in the file.',
  },
  url_mismatch: {
    status: null,
    meaning: "A line's `url` is not the batch's endpoint.",
    action: 'Use one endpoint in a batch.',
  },
  model_mismatch: {
    status: null,
    meaning: 'A line names another model than the first line.',
    action: 'Use one model in a batch.',
  },
  kind_mismatch: {
    status: null,
    meaning: 'A line is of another kind than the first line.',
    action: 'Use one kind in a batch.',
  },
  too_many_tasks: {
    status: null,
    meaning: 'The file has more lines than `BATCH_MAX_LINES`.',
    action: 'Split the file.',
  },
  too_many_lines_for_strict: {
    status: 400,
    meaning: '`validate=strict` checks files of up to 50,000 lines.',
    action: 'Leave it out; validation then runs after the answer.',
  },
  batch_not_cancellable: { status: 409, meaning: 'The batch has ended.', action: 'Nothing to do.' },
  batch_not_pausable: {
    status: 409,
    meaning: 'The batch has ended, is being cancelled, or its window is over.',
    action: 'Nothing to do.',
  },
  batch_not_resumable: {
    status: 409,
    meaning: 'The batch has ended, is being cancelled, or its window is over.',
    action: 'Create a retry.',
  },
  batch_not_running: {
    status: 409,
    meaning: 'The batch has ended or is being cancelled.',
    action: 'Nothing to do.',
  },
  batch_not_retryable: {
    status: 409,
    meaning: 'The batch still runs, or its validation failed.',
    action: 'Wait for its end, or correct the input and create a batch.',
  },
  nothing_to_retry: { status: 409, meaning: 'No line of the batch failed.', action: 'Nothing to do.' },
  results_gone: {
    status: 404,
    meaning: 'The output or error file was deleted or has expired.',
    action: 'Run the batch again.',
  },
  input_file_missing: {
    status: 404,
    meaning: 'The input file was deleted or has expired.',
    action: 'Upload it again.',
  },
  input_file_damaged: {
    status: null,
    meaning: 'The stored input no longer matches what was validated.',
    action: 'Upload the file again and create a new batch.',
  },
  segment_damaged: {
    status: 500,
    meaning: 'A part of a result file is missing or damaged in the object storage.',
    action: 'Restore the storage, or retry the batch.',
  },
  batch_cancelled: {
    status: null,
    meaning: 'The line did not run because the batch was cancelled.',
    action: 'Retry the batch if you need it.',
  },
  batch_expired: {
    status: null,
    meaning: 'The line did not run before the completion window ended.',
    action: 'Retry the batch; allow a longer window.',
  },
} as const satisfies ErrorCodeTable;

const tasksVideosErrors = {
  task_not_found: { status: 404, meaning: 'No such task in the workspace.', action: 'Check the id.' },
  task_still_running: {
    status: 504,
    meaning: 'No answer came within the wait; the task continues.',
    action: 'Read the task that the message names. Do not send the request again.',
  },
  task_not_cancellable: { status: 409, meaning: 'The task has ended.', action: 'Nothing to do.' },
  task_not_retryable: {
    status: 409,
    meaning: 'Only a task that failed, expired or was cancelled can be retried.',
    action: 'Wait for its end.',
  },
  task_not_over: {
    status: 409,
    meaning: 'The task has not ended.',
    action: 'Cancel it, or wait for its end.',
  },
  task_canceled: {
    status: 409,
    meaning: 'The task was cancelled before it had an answer.',
    action: 'Send the request again if you need it.',
  },
  task_expired: {
    status: 409,
    meaning: 'The task passed its deadline or start time-out.',
    action: 'Allow more time.',
  },
  attempt_superseded: {
    status: 409,
    meaning: 'Another attempt has taken this task over.',
    action: 'None: internal, never sent to clients.',
  },
  canceled: { status: null, meaning: 'The video was cancelled.', action: 'Create it again if you need it.' },
  no_output: {
    status: 409,
    meaning: 'The task has not succeeded, so it has no output.',
    action: 'Wait for its end.',
  },
  output_not_found: {
    status: 404,
    meaning: 'The output has no part with this index.',
    action: 'Use an index of the output.',
  },
  video_not_found: { status: 404, meaning: 'No such video in the workspace.', action: 'Check the id.' },
  video_not_ready: {
    status: 409,
    meaning: 'The video is not completed.',
    action: 'Wait until its status is `completed`.',
  },
  variant_not_found: {
    status: 404,
    meaning: 'The video has no such variant.',
    action: 'Use `video`, or `thumbnail` if there is one.',
  },
  unknown_kind: {
    status: 400,
    meaning: 'There is no kind with this name.',
    action: 'Use one that `GET /v1/kinds` lists.',
  },
  ambiguous_kind: {
    status: 400,
    meaning: 'Several kinds take these fields, or none does.',
    action: 'Set `kind`.',
  },
  timed_out: { status: 504, meaning: 'The call took longer than it may.', action: 'Allow more time.' },
  expired: {
    status: null,
    meaning: 'The task passed its deadline or start time-out.',
    action: 'Allow more time.',
  },
} as const satisfies ErrorCodeTable;

const modelsProvidersErrors = {
  model_not_found: {
    status: 400,
    meaning: 'No provider serves this model for this kind.',
    action: 'Use `provider/model-id`; `GET /v1/models` lists known models.',
  },
  model_unsupported: {
    status: 400,
    meaning: 'The model needs something that local inference does not have.',
    action: 'Use another model, or another provider for it.',
  },
  model_gated: {
    status: 403,
    meaning: 'The model needs approval by its owner.',
    action: "Request access on the model's page.",
  },
  model_damaged: {
    status: 400,
    meaning: "The model's files are incomplete or damaged.",
    action: 'Delete them in `MODELS_DIR` and try again.',
  },
  images_not_supported: {
    status: 400,
    meaning: 'The model takes no images.',
    action: 'Remove the images or use a model with vision.',
  },
  model_not_held: {
    status: 400,
    meaning: 'No worker keeps this model in its memory.',
    action: 'It needs no loading.',
  },
  model_loading: {
    status: 503,
    meaning: 'The provider is loading the model.',
    action: 'None: Millrace retries for five minutes.',
  },
  model_thread_died: {
    status: 500,
    meaning: 'The worker thread of the model died.',
    action: "None: Millrace retries; look at the worker's log if it repeats.",
  },
  invalid_dimensions: {
    status: 400,
    meaning: 'The model cannot return this number of dimensions.',
    action: 'Use a number that the message allows.',
  },
  invalid_tokens: {
    status: 400,
    meaning: "The token ids are not the model's.",
    action: "Send text, or ids of the model's vocabulary.",
  },
  unsupported: {
    status: 400,
    meaning: 'The provider cannot do what the field asks for.',
    action: 'Remove the option that `param` names or use another provider.',
  },
  provider_error: {
    status: null,
    meaning: 'The provider refused the request; the message has its words.',
    action: 'Correct the request.',
  },
  provider_unreachable: {
    status: 502,
    meaning: 'The provider could not be reached, or the connection broke.',
    action: 'None: Millrace retries; check the provider if it repeats.',
  },
  provider_unavailable: {
    status: 503,
    meaning: 'The provider failed several times in a row; calls are held back.',
    action: 'Wait as `Retry-After` says.',
  },
  provider_rate_limited: {
    status: 429,
    meaning: 'The provider limits calls.',
    action: 'None: Millrace waits as it says. Lower `PROVIDER_CONCURRENCY` if it is frequent.',
  },
  provider_token_invalid: {
    status: 502,
    meaning: 'The provider refuses the token.',
    action: 'Set a valid token, then resume paused batches.',
  },
  provider_model_not_found: {
    status: 404,
    meaning: 'The provider does not have the model.',
    action: "Check the name on the provider's page.",
  },
  insufficient_quota: {
    status: 402,
    meaning: "The provider's account has no credit.",
    action: 'Add credit, then resume paused batches.',
  },
  request_timeout: {
    status: 504,
    meaning: 'The provider did not answer in time.',
    action: 'Raise `timeout`, or make the request smaller.',
  },
  stream_interrupted: {
    status: 502,
    meaning: 'The answer was restarted, or ended, after part of it had been sent.',
    action: 'Send the request again.',
  },
  invalid_output: {
    status: 502,
    meaning: "The provider's answer has the wrong count, dimension or form.",
    action: 'Use another model; report it to the provider.',
  },
  inference_failed: {
    status: 500,
    meaning: 'The local model failed on this input.',
    action: 'Change the input or the model.',
  },
  device_unavailable: {
    status: 503,
    meaning: 'The device (for example CUDA) is not available.',
    action: 'Check `LOCAL_DEVICE` and the drivers.',
  },
  hub_unavailable: {
    status: 503,
    meaning: 'The Hugging Face Hub does not answer.',
    action: 'None: Millrace retries.',
  },
  result_not_stored: {
    status: 500,
    meaning: 'The model answered, but its result could not be stored.',
    action:
      'Look at the log of the worker for the reason. Retry it once that is solved: the model is then called again.',
  },
  worker_crashed: {
    status: 500,
    meaning: 'Workers died each time this ran.',
    action: "Look at the input: it is probably too large for the model. Look at the workers' memory.",
  },
  sandbox_error: {
    status: null,
    meaning: 'The sandbox was asked to fail (`sandbox_400`, `sandbox_429` …).',
    action: 'Remove the option or suffix.',
  },
} as const satisfies ErrorCodeTable;

const mediaErrors = {
  invalid_media: {
    status: 400,
    meaning: 'A field is not base64, a data URI, a file id or an https URL, or its bytes are damaged.',
    action: 'Correct the field that `param` names.',
  },
  broken_image: { status: 400, meaning: 'The image cannot be decoded.', action: 'Send another file.' },
  too_many_pixels: { status: 400, meaning: 'The image has too many pixels.', action: 'Scale it down.' },
  wrong_media_type: {
    status: 400,
    meaning: 'The bytes are of another type than the field takes.',
    action: 'Send a type that the message lists.',
  },
  media_too_large: {
    status: 413,
    meaning: 'The media is over its limit of bytes or pixels.',
    action: 'Make it smaller.',
  },
  input_url_unreachable: {
    status: 400,
    meaning: 'The URL of an input could not be read.',
    action: 'Check that it is public and answers.',
  },
  url_invalid: {
    status: 400,
    meaning: 'The URL is malformed.',
    action: 'Correct it.',
  },
  url_scheme_refused: {
    status: 400,
    meaning: 'The URL has another scheme than https.',
    action: 'Use https; an allowed host may use http.',
  },
  url_credentials_refused: {
    status: 400,
    meaning: 'The URL has a user name or a password.',
    action: 'Remove them.',
  },
  url_port_refused: { status: 400, meaning: 'The URL has another port than 443.', action: 'Use port 443.' },
  url_host_refused: {
    status: 400,
    meaning: 'The host is not allowed.',
    action: 'Use a public host name.',
  },
  url_address_refused: {
    status: 400,
    meaning: 'The host resolves to an address that is not public.',
    action:
      'Use a public host; `MILLRACE_INPUT_ALLOW_HOSTS` and `MILLRACE_WEBHOOK_ALLOW_HOSTS` allow others.',
  },
  url_host_not_found: { status: 400, meaning: 'The host has no address.', action: 'Check the name.' },
} as const satisfies ErrorCodeTable;

const eventsWebhooksErrors = {
  event_not_found: {
    status: 404,
    meaning: 'No such event, or it is no longer kept.',
    action: 'Use `since`.',
  },
  feed_expired: {
    status: 410,
    meaning: 'Events up to this position are no longer kept.',
    action: 'Read the state and continue from now.',
  },
  webhook_endpoint_not_found: {
    status: 404,
    meaning: 'No such webhook endpoint in the workspace.',
    action: 'Check the id.',
  },
  webhook_endpoint_disabled: {
    status: 409,
    meaning: 'The webhook endpoint is disabled.',
    action: 'Enable it with `{"disabled": false}`.',
  },
  webhook_delivery_not_found: { status: 404, meaning: 'No such delivery.', action: 'Check the id.' },
  webhook_secret_unreadable: {
    status: 409,
    meaning: '`MILLRACE_SECRET` was changed, so the secret cannot be decrypted.',
    action: 'Rotate the secret.',
  },
  webhook_test_failed: {
    status: 400,
    meaning: 'The receiver did not answer the test.',
    action: 'Check the receiver; the message says what failed.',
  },
} as const satisfies ErrorCodeTable;

const theInstanceErrors = {
  unavailable: {
    status: 503,
    meaning: 'Something that Millrace needs does not answer; nothing was written.',
    action: 'Wait as `Retry-After` says.',
  },
  database_unavailable: {
    status: 503,
    meaning: 'Postgres does not answer; nothing was written.',
    action: 'Wait as `Retry-After` says; check `/health/ready`.',
  },
  queue_unavailable: {
    status: 503,
    meaning: "The queue's backend does not answer.",
    action: 'Wait as `Retry-After` says; check `/health/ready`.',
  },
  bus_unavailable: {
    status: 503,
    meaning: 'The message bus does not answer.',
    action: 'Wait as `Retry-After` says; check `/health/ready`.',
  },
  storage_failed: {
    status: 503,
    meaning: 'The object storage failed.',
    action: 'Wait as `Retry-After` says; check the storage.',
  },
  storage_unreachable: {
    status: 503,
    meaning: 'The object storage cannot be reached.',
    action: 'Wait as `Retry-After` says; check `S3_ENDPOINT`.',
  },
  storage_no_bucket: {
    status: 503,
    meaning: 'The bucket does not exist.',
    action: 'Create it, or correct `S3_BUCKET`.',
  },
  storage_misplaced: {
    status: 503,
    meaning: 'The bucket is in another region.',
    action: 'Correct `S3_REGION` or `S3_ENDPOINT`.',
  },
  storage_busy: {
    status: 503,
    meaning: 'The object storage asks to slow down.',
    action: 'Wait as `Retry-After` says.',
  },
  storage_denied: {
    status: 503,
    meaning: 'The object storage refuses access.',
    action: 'Check its credentials and permissions.',
  },
  storage_full: {
    status: 507,
    meaning: 'The disk or bucket is full.',
    action: 'Free space; waiting work then continues.',
  },
  storage_unconditional: {
    status: 503,
    meaning: 'The S3 server ignores conditional writes.',
    action: 'Use a server that supports `If-None-Match`.',
  },
  object_not_found: {
    status: 404,
    meaning: 'The object is not in the storage.',
    action: 'Read the resource again for a new URL.',
  },
  object_too_large: {
    status: 413,
    meaning: 'The object is larger than the storage takes in one write.',
    action: 'Split it.',
  },
  read_too_large: {
    status: 413,
    meaning: 'The object is too large to read at once.',
    action: 'Read it as a stream.',
  },
  content_type_mismatch: {
    status: 400,
    meaning: 'The content type does not match the name.',
    action: 'Correct one of them.',
  },
  key_is_folder: { status: 400, meaning: 'The object key names a folder.', action: 'Use another name.' },
  server_error: {
    status: 500,
    meaning: "An internal error. The log has it under the request's id.",
    action: 'Report it with the `x-request-id`.',
  },
  internal_error: {
    status: 500,
    meaning: 'An internal error while the request ran.',
    action: "Report it with the task's id.",
  },
} as const satisfies ErrorCodeTable;

/** By topic, in the order of the errors page. */
export const errorCodeGroups = {
  Requests: requestsErrors,
  Access: accessErrors,
  'Rates and limits': ratesLimitsErrors,
  'Files and uploads': filesUploadsErrors,
  Batches: batchesErrors,
  'Tasks and videos': tasksVideosErrors,
  'Models and providers': modelsProvidersErrors,
  Media: mediaErrors,
  'Events and webhooks': eventsWebhooksErrors,
  'The instance': theInstanceErrors,
} as const;

export type ErrorCode = {
  [Group in keyof typeof errorCodeGroups]: keyof (typeof errorCodeGroups)[Group];
}[keyof typeof errorCodeGroups];

/** @returns null for a code that is not ours. */
export function findErrorCode(code: string): ErrorCodeInfo | null {
  for (const group of Object.values<ErrorCodeTable>(errorCodeGroups)) {
    if (Object.hasOwn(group, code)) return group[code]!;
  }
  return null;
}
