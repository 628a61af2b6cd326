// The frontend of an organization: better-auth with the plugins `jwt` and `organization`, and a page
// that hands over its token to berth. Argument: port.
import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { jwt, organization } from 'better-auth/plugins';

const port = Number(process.argv[2]);
const origin = `http://127.0.0.1:${port}`;
const tables = ['user', 'session', 'account', 'verification', 'jwks', 'organization', 'member', 'invitation', 'rateLimit'];
const database = Object.fromEntries(tables.map((name) => [name, []]));

const auth = betterAuth({
  baseURL: origin,
  secret: 'a secret of the test, long enough for it',
  database: memoryAdapter(database),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  plugins: [
    organization(),
    jwt({
      jwt: {
        async definePayload({ user, session }) {
          const id = session.activeOrganizationId ?? null;
          const member = database.member.find((it) => it.userId === user.id && it.organizationId === id);
          return { ...user, activeOrganizationId: id, activeOrganizationRole: member?.role ?? null };
        },
      },
    }),
  ],
});

const handler = toNodeHandler(auth);
createServer((request, response) => {
  if (request.url.startsWith('/api/auth/')) return handler(request, response);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end('<!doctype html><title>Frontend</title><p>The frontend of an organization');
}).listen(port, '127.0.0.1', () => console.log('ready'));
