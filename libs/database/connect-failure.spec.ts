import { describeConnectFailure } from './connect-failure.ts';

const url = 'postgres://app:hunter2@db.example.com:5433/files?sslmode=require';

test.each([
  [{ code: '3D000' }, "has no database 'files'. Create it (createdb files), or correct the name."],
  [{ code: '28P01' }, "refuses the password of the role 'app', or has no such role."],
  [{ code: '28000', message: 'role "app" does not exist' }, "has no role 'app'. Create it"],
  [
    { code: '28000', message: 'no pg_hba.conf entry for host "10.0.0.1", no encryption' },
    'accepts only TLS.',
  ],
  [
    { code: '28000', message: 'no pg_hba.conf entry for host "10.0.0.1", SSL encryption' },
    'Allow it in pg_hba.conf',
  ],
  [{ code: '42501' }, "does not allow the role 'app' to use the database 'files'."],
  [{ code: '53300' }, 'has no free connection.'],
  [{ code: '57P03' }, 'is starting or stopping.'],
  [{ code: '25006' }, 'is a read-only replica.'],
  [{ code: 'ENOTFOUND' }, 'cannot be found: the host name has no address.'],
  [{ code: 'ECONNREFUSED', message: '' }, 'does not listen there.'],
  [{ message: 'The server does not support SSL connections' }, 'does not speak TLS.'],
  [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'has a TLS certificate that is not trusted'],
  [{ message: 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string' }, 'asks for a password.'],
  [{ message: 'Connection terminated due to connection timeout' }, 'does not answer within 5 s.'],
  [{ message: 'timeout expired' }, 'does not answer within 5 s.'],
  [{ code: 'ECONNRESET', message: 'read ECONNRESET' }, 'cannot be used (ECONNRESET).'],
  [{ message: 'invalid password hunter2 in something' }, 'cannot be used.'],
  [{ errors: [{ code: 'ECONNREFUSED' }] }, 'does not listen there.'],
])('%p: one line with the server and what to do, without the password', (error, words) => {
  const text = describeConnectFailure(error, url);
  expect(text).toContain('DATABASE_URL: Postgres at db.example.com:5433 ');
  expect(text).toContain(words);
  expect(text).not.toMatch(/hunter2|\n/);
});

test('a URL without a host names the socket or localhost', () => {
  expect(describeConnectFailure({ code: '3D000' }, 'postgres:///files')).toContain(
    'Postgres at localhost has no',
  );
  expect(describeConnectFailure({ code: '3D000' }, 'postgres:///files?host=/run/postgresql')).toContain(
    'Postgres at /run/postgresql has no',
  );
});
