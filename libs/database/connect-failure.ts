/** Why a process cannot use its database, as one line for the operator. It has the server and the names, and no password. */

interface ConnectError {
  readonly code?: string;
  readonly message?: string;
}

const certificateErrors = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;

/**
 * @param error of `pg`: Postgres's SQLSTATE or the system's code
 * @param url DATABASE_URL
 */
export function describeConnectFailure(error: unknown, url: string): string {
  const { code = '', message = '' } = findCause(error);
  const { server, user, database } = parseUrl(url);
  const [problem, remedy] = describe({ code, message, user, database });
  return `DATABASE_URL: Postgres at ${server} ${problem}. ${remedy}.`;
}

interface Context {
  readonly code: string;
  readonly message: string;
  readonly user: string;
  readonly database: string;
}

/** @returns what is wrong, and what to do. */
function describe({ code, message, user, database }: Context): readonly [string, string] {
  switch (code) {
    case '3D000':
      return [`has no database '${database}'`, `Create it (createdb ${database}), or correct the name`];
    case '28P01':
      return [
        `refuses the password of the role '${user}', or has no such role`,
        'Correct the role or its password',
      ];
    case '28000':
      return describeRefusal(message, user, database);
    case '42501':
      return [
        `does not allow the role '${user}' to use the database '${database}'`,
        `Make the role its owner: alter database ${database} owner to ${user}`,
      ];
    case '53300':
      return ['has no free connection', 'Raise its max_connections, or lower DATABASE_POOL or WORKER_COUNT'];
    case '57P03':
      return ['is starting or stopping', 'Start again when it accepts connections'];
    case '25006':
      return ['is a read-only replica', 'Set DATABASE_URL to the primary server'];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['cannot be found: the host name has no address', 'Correct the host'];
    case 'ECONNREFUSED':
      return ['does not listen there', 'Start the server, or correct the host and the port'];
    default:
      return describeByMessage(code, message);
  }
}

/** 28000: the server's pg_hba.conf refuses the connection, or the role does not exist. */
function describeRefusal(message: string, user: string, database: string): readonly [string, string] {
  if (/role .* does not exist/.test(message)) {
    return [`has no role '${user}'`, `Create it (createuser --pwprompt ${user}), or correct the name`];
  }
  if (/no encryption|SSL off/.test(message)) {
    return ['accepts only TLS', 'Add sslmode=require to the URL'];
  }
  return [
    `does not let the role '${user}' connect to the database '${database}' from this machine`,
    'Allow it in pg_hba.conf, or correct the URL',
  ];
}

function describeByMessage(code: string, message: string): readonly [string, string] {
  if (/does not support SSL/.test(message)) {
    return ['does not speak TLS', 'Enable it on the server, or remove sslmode from the URL'];
  }
  if (certificateErrors.test(code)) {
    return [
      `has a TLS certificate that is not trusted (${code})`,
      'Set NODE_EXTRA_CA_CERTS to the file of its certificate authority, or sslmode=no-verify in the URL',
    ];
  }
  if (/password must be a string|no password was provided|empty password/i.test(message)) {
    return ['asks for a password', 'Add it to the URL'];
  }
  if (/time-?d? ?out/i.test(`${code} ${message}`)) {
    return [
      'does not answer within 5 s',
      'Check the host, the port, the firewall, and that a Postgres listens there',
    ];
  }
  const reason = /^[0-9A-Z_]{4,40}$/.test(code) ? ` (${code})` : '';
  return [
    `cannot be used${reason}`,
    'Check the host, the port, and that a Postgres 15 or newer listens there',
  ];
}

/** An AggregateError holds one error for each address of a host. */
function findCause(error: unknown): ConnectError {
  const { errors, cause, code, message } = error as ConnectError & { errors?: unknown[]; cause?: unknown };
  if (code || message) return { ...(code && { code }), ...(message && { message }) };
  const inner = errors?.[0] ?? cause;
  return inner ? findCause(inner) : {};
}

/** @returns the parts of the URL that may be shown. */
function parseUrl(url: string): { server: string; user: string; database: string } {
  const parsed = URL.parse(url);
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const user = decode(parsed?.username ?? '');
  return {
    // With an empty host, pg connects to the socket that `?host=` names, or to localhost.
    server: parsed?.host || parsed?.searchParams.get('host') || 'localhost',
    user,
    database: decode(parsed?.pathname.slice(1) ?? '') || user,
  };
}
