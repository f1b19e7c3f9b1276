/**
 * What a caller may do, as data: each route of the API names one permission, and a caller carries the ones it has.
 * `instance` permissions concern what all workspaces share; only the workspace that runs the instance has them.
 */
export const permissions = {
  'tasks:read': { title: 'Read tasks, their attempts and their outputs' },
  'tasks:write': { title: 'Create, retry and cancel tasks; call the inference endpoints' },
  'batches:read': { title: 'Read batches, their chunks and their results' },
  'batches:write': { title: 'Create, update, pause, resume, retry and cancel batches' },
  'files:read': { title: 'Read files, their content and uploads' },
  'files:write': { title: 'Upload and delete files' },
  'events:read': { title: 'Read and follow events, over HTTP, event streams and sockets' },
  'webhooks:read': { title: 'Read webhook endpoints and their deliveries' },
  'webhooks:write': { title: 'Create, change, test and delete webhook endpoints; send deliveries again' },
  'usage:read': { title: 'Read what the workspace has used' },
  'kinds:read': { title: 'List the kinds of task' },
  'models:read': { title: 'List models and where they are loaded' },
  'workers:read': { title: 'List workers and the workspace’s own running work' },
  'models:manage': { title: 'Load and unload models on workers', instance: true },
  'workers:inspect': {
    title: 'See the host, process and running work of all workspaces on workers',
    instance: true,
  },
  'credits:read': { title: 'See what is left of the providers’ credit', instance: true },
} as const satisfies Record<string, { readonly title: string; readonly instance?: true }>;

export type Permission = keyof typeof permissions;

export const permissionNames = Object.keys(permissions) as Permission[];

/** Whether only the workspace that runs the instance has this permission. */
export const isInstancePermission = (permission: Permission): boolean =>
  'instance' in permissions[permission];

/** A user's part in a workspace. */
export const roles = ['owner', 'admin', 'member', 'viewer'] as const;
export type Role = (typeof roles)[number];
