// An issuer of OIDC logins: the certified `oidc-provider`, with its development pages. Any name logs
// in with any password; the name decides about the organizations.
// Arguments: port, redirect URI, and how the client authenticates at the token endpoint.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, redirect, method] = process.argv.slice(2);
const PEOPLE = {
  ada: { org_id: ['east', 'west'], role: 'owner' },
  bob: { org_id: 'east', role: 'member' },
  eve: {},
};
// A start has new keys, and each way of authentication has another algorithm.
const ALGORITHMS = { none: 'RS256', client_secret_basic: 'ES256', client_secret_post: 'PS256' };
const pair = (type, options) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig',
});
const keys = [pair('rsa', { modulusLength: 2048 }), pair('ec', { namedCurve: 'P-256' })];
const client = {
  id_token_signed_response_alg: ALGORITHMS[method],
  client_id: 'berth-ui', redirect_uris: [redirect], response_types: ['code'],
  grant_types: ['authorization_code'], token_endpoint_auth_method: method,
};
if (method !== 'none') client.client_secret = 'a secret, with reserved: characters & more';

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client],
  jwks: { keys },
  pkce: { required: () => true },
  claims: { openid: ['sub'], organization: ['org_id', 'role', 'platform_role'] },
  scopes: ['openid', 'organization'],
  // berth reads the ID token, not the userinfo endpoint.
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
  clientAuthMethods: [method],
  ttl: { IdToken: 600, Session: 3600, Interaction: 600, Grant: 3600, AuthorizationCode: 60, AccessToken: 600 },
});
for (const failure of ['server_error', 'authorization.error', 'grant.error']) {
  provider.on(failure, (_, error) => console.error(failure, error.message, error.error_detail ?? ''));
}
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
