// A real OAuth server for the tests: oidc-provider, as its authors wrote it, with clients of every kind
// and a user who agrees to everything. It counts what it was asked, and can lose an answer on its way.
// Beside it, mail servers of nodemailer's, which let in whoever has its tokens, or the password.
//
// The only rules that are ours are which clients there are. What a signature is worth is decided by jose,
// what a token is worth by oidc-provider, what is SMTP by smtp-server.
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { errors as joseErrors, jwtVerify } from "jose";
import { Provider, errors } from "oidc-provider";
import { SMTPServer } from "smtp-server";

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const LOOPBACK = "http://127.0.0.1/oauth/callback";

const pem = (key, type) => key.export({ type, format: "pem" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });

const client = (client_id, more) => ({
  client_id,
  client_secret: `canary-secret-of-${client_id}`,
  grant_types: [],
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: "client_secret_post",
  ...more,
});
const code = {
  application_type: "native",
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  redirect_uris: [LOOPBACK],
};
const none = { token_endpoint_auth_method: "none", client_secret: undefined };
const asserting = (key, alg) => ({
  client_secret: undefined,
  grant_types: ["client_credentials"],
  token_endpoint_auth_method: "private_key_jwt",
  token_endpoint_auth_signing_alg: alg,
  jwks: { keys: [key.export({ format: "jwk" })] },
});
const clients = [
  client("confidential", { ...code, token_endpoint_auth_method: "client_secret_basic" }),
  client("public", { ...code, ...none }),
  client("machine", { grant_types: ["client_credentials"] }),
  client("machine-basic", {
    grant_types: ["client_credentials"],
    token_endpoint_auth_method: "client_secret_basic",
  }),
  client("device", { ...none, grant_types: [DEVICE, "refresh_token"] }),
  client("signer", { ...none, grant_types: [JWT_BEARER] }),
  client("asserter", asserting(rsa.publicKey, "RS256")),
  client("asserter-ec", asserting(ec.publicKey, "ES256")),
];

const stats = { token: {}, refused: 0, api: 0, revoked: 0, mail: { calls: 0, shown: 0, in: {} } };
const mails = [];
const saved = { access: [], refresh: [] };
let loseAnswers = false;

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients,
  scopes: ["openid", "offline_access", "read", "write"],
  cookies: { keys: ["tests"] },
  pkce: { required: (_, client) => client.clientId === "public" },
  rotateRefreshToken: true,
  issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
  findAccount: async (_, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (ctx) => {
    const { client, session } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid offline_access read write");
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
  },
  ttl: {
    AccessToken: 3600,
    AuthorizationCode: 60,
    ClientCredentials: 600,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
  },
});

const issue = async (client) => {
  const token = new provider.ClientCredentials({ client, scope: "read" });
  return [await token.save(), token.expiration];
};

provider.registerGrantType(
  JWT_BEARER,
  async (ctx) => {
    const { client, params } = ctx.oidc;
    try {
      await jwtVerify(params.assertion, rsa.publicKey, {
        algorithms: ["RS256"],
        audience: `${issuer}/token`,
        issuer: client.clientId,
        maxTokenAge: "10 minutes",
        requiredClaims: ["exp", "sub"],
      });
    } catch (error) {
      if (error instanceof joseErrors.JOSEError) throw new errors.InvalidGrant(error.message);
      throw error;
    }
    const [access_token, expires_in] = await issue(client);
    ctx.body = { access_token, expires_in, token_type: "Bearer" };
  },
  ["assertion", "scope"],
);

provider.on("access_token.saved", (token) => saved.access.push(token));
provider.on("client_credentials.saved", (token) => saved.access.push(token));
provider.on("refresh_token.saved", (token) => saved.refresh.push(token));
provider.on("revocation.success", () => stats.revoked++);
provider.on("grant.success", ({ oidc }) => {
  const grant = oidc.params.grant_type;
  stats.token[grant] = (stats.token[grant] ?? 0) + 1;
});
provider.on("grant.error", () => stats.refused++);

const json = (res, status, body) => {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};

const bearer = (req) => /^Bearer (.+)$/.exec(req.headers.authorization ?? "")?.[1];

const known = async (req) => {
  const value = bearer(req);
  if (!value) return undefined;
  return (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
};

const ours = {
  "GET /api/me": async (req, res) => {
    stats.api++;
    const token = await known(req);
    if (!token || token.isExpired) return json(res, 401, { error: "invalid_token" });
    json(res, 200, { name: token.accountId ?? token.clientId });
  },
  // As GitHub gives an app the token of one of its installations.
  "POST /app/installations/7/access_tokens": async (req, res) => {
    const signed = bearer(req);
    const rules = { algorithms: ["ES256"], issuer: "signer", maxTokenAge: "10 minutes" };
    try {
      await jwtVerify(signed, ec.publicKey, rules);
    } catch (error) {
      return json(res, 401, { message: error.message });
    }
    const [token, lives] = await issue(await provider.Client.find("signer"));
    json(res, 201, { token, expires_at: new Date(Date.now() + lives * 1000).toISOString() });
  },
  "GET /control/stats": async (_, res) => json(res, 200, stats),
  // Which tokens are still good.
  "GET /control/alive": async (_, res) => {
    const alive = async (model, tokens) => {
      const found = await Promise.all(tokens.map((token) => model.find(token.jti)));
      return found.filter((token) => token?.isValid).length;
    };
    json(res, 200, {
      access: await alive(provider.AccessToken, saved.access),
      refresh: await alive(provider.RefreshToken, saved.refresh),
    });
  },
  "POST /control/end-access": async (_, res) => {
    await Promise.all(saved.access.splice(0).map((token) => token.destroy()));
    json(res, 200, {});
  },
  "POST /control/end-refresh": async (_, res) => {
    await Promise.all(saved.refresh.splice(0).map((token) => token.destroy()));
    json(res, 200, {});
  },
  "GET /control/mails": async (_, res) => json(res, 200, mails),
  "POST /control/lose-answers": async (_, res) => {
    loseAnswers = true;
    json(res, 200, {});
  },
  "POST /control/keep-answers": async (_, res) => {
    loseAnswers = false;
    json(res, 200, {});
  },
};

// The user agrees to everything.
const agree = (req, res) =>
  provider.interactionFinished(req, res, { login: { accountId: "acme" }, consent: {} }, {
    mergeWithLastSubmission: false,
  });

const oauth = provider.callback();
server.on("request", (req, res) => {
  const { pathname } = new URL(req.url, issuer);
  const handler = pathname.startsWith("/interaction/") ? agree : ours[`${req.method} ${pathname}`];
  if (handler) {
    handler(req, res).catch((error) => json(res, 500, { error: String(error) }));
    return;
  }
  if (loseAnswers && pathname === "/token") {
    // What was asked is done, and the answer goes nowhere.
    res.end = () => req.socket.destroy();
  }
  oauth(req, res);
});

// One mail server of each kind of encryption. Its certificate is made by whoever starts it.
const shown = async ({ method, username, password, accessToken }, session) => {
  stats.mail.shown++;
  if (method === "XOAUTH2") {
    const token = await provider.AccessToken.find(accessToken);
    if (!token?.isValid || token.accountId !== username) throw new Error(`no token: ${accessToken}`);
  } else if (username !== "ada@acme.example" || password !== "canary-password-of-ada") {
    throw new Error(`5.7.8 nobody is ${username} by ${password}`);
  }
  const how = `${method}${session.secure ? " encrypted" : ""}`;
  stats.mail.in[how] = (stats.mail.in[how] ?? 0) + 1;
  return { user: username };
};
const received = (stream, session, done) => {
  const parts = [];
  stream.on("data", (part) => parts.push(part));
  stream.on("end", () => {
    const { mailFrom, rcptTo } = session.envelope;
    const to = rcptTo.map(({ address }) => address);
    mails.push({ from: mailFrom.address, to, text: Buffer.concat(parts).toString() });
    done(null, "2.0.0 queued as 7");
  });
};
const mailServer = async (options) => {
  const server = new SMTPServer({
    authMethods: ["PLAIN", "LOGIN", "XOAUTH2"],
    key: process.env.MAIL_KEY,
    cert: process.env.MAIL_CERTIFICATE,
    disableReverseLookup: true,
    onConnect: (_, done) => (stats.mail.calls++, done()),
    onAuth: (auth, session, done) =>
      shown(auth, session).then((user) => done(null, user), done),
    onRcptTo: ({ address }, _, done) =>
      done(address.startsWith("nobody@") ? new Error("5.1.1 no such mailbox") : null),
    onData: received,
    ...options,
  });
  // Whoever does not trust its certificate ends the conversation.
  server.on("error", () => {});
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.server.address().port;
};
const mail = {
  none: await mailServer({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true }),
  starttls: await mailServer({}),
  implicit: await mailServer({ secure: true }),
};

// Ends with whoever started it.
process.stdin.resume().on("end", () => process.exit(0));

const sec1 = pem(createPrivateKey(pem(ec.privateKey, "pkcs8")), "sec1");
console.log(
  JSON.stringify({
    url: issuer,
    mail,
    rsa_pkcs8: pem(rsa.privateKey, "pkcs8"),
    rsa_pkcs1: pem(rsa.privateKey, "pkcs1"),
    ec_pkcs8: pem(ec.privateKey, "pkcs8"),
    ec_sec1: sec1,
  }),
);
