// Clerk's JavaScript SDK at work, with the local Clerk's address and keys on standard input, from a folder that has it.
// Prints one JSON object, which test_clients.py judges.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const clerk = JSON.parse(readFileSync(0, "utf-8"));
const modules = createRequire(`${process.argv[2]}/`);
const load = async (name) => import(pathToFileURL(modules.resolve(name)));
const { createClerkClient } = await load("@clerk/backend");
const { verifyWebhook } = await load("@clerk/backend/webhooks");

const SITE = "http://localhost:8000";
const keys = { secretKey: clerk.secret_key, publishableKey: clerk.publishable_key };
const client = createClerkClient({ ...keys, apiUrl: clerk.url, telemetry: { disabled: true } });
const NAVIGATION = { "Sec-Fetch-Dest": "document", Accept: "text/html" };

// Without authorizedParties: with them the SDK refuses tokens that have no azp, as those of a handshake may.
function visit(url, cookies = {}) {
  const cookie = Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join("; ");
  return client.authenticateRequest(new Request(url, { headers: { ...NAVIGATION, Cookie: cookie } }));
}

// Follows the SDK's redirect to Clerk and back. The SDK takes for granted that the Frontend API speaks https.
async function handshake(state, browserCookie) {
  const there = state.headers.get("location").replace("https://", "http://");
  const answer = await fetch(there, { redirect: "manual", headers: { ...NAVIGATION, Cookie: browserCookie } });
  return answer.headers.get("location");
}

const user = await client.users.createUser({ emailAddress: ["nell@example.com"], publicMetadata: { theirs: 1, gone: 2 } });
const merged = await client.users.updateUserMetadata(user.id, { publicMetadata: { role: "admin", gone: null } });
await client.users.updateUser(user.id, { lastName: "Arden" });
const listed = await client.users.getUserList({ limit: 500 });
const refusal = await client.users.getUser("user_nobody").catch((error) => error.errors[0].code);

// The local Clerk's page signs the browser in, and sends it to the site with the dev browser's token.
const page = await fetch(`${clerk.url}/sign-in`, {
  method: "POST",
  redirect: "manual",
  body: new URLSearchParams({ user_id: user.id, redirect_url: `${SITE}/` }),
});
const browserCookie = page.headers.get("set-cookie").split(";")[0];
const first = await visit(page.headers.get("location"));
const returned = await handshake(first, browserCookie);
const resolved = await visit(returned);
const cookies = Object.fromEntries(
  resolved.headers.getSetCookie().map((line) => line.split(";")[0].split(/=(.*)/s).slice(0, 2)),
);
const signedIn = await visit(`${SITE}/`, cookies);
const claims = signedIn.toAuth()?.sessionClaims ?? {};

const token = cookies.__session;
const forged = await visit(`${SITE}/`, { ...cookies, __session: `${token.slice(0, -8)}AAAAAAAA` });
const sessions = await client.sessions.getSessionList({ userId: user.id });
const revoked = await client.sessions.revokeSession(sessions.data[0].id);
const ended = await visit(await handshake(first, browserCookie));

const { body, headers } = clerk.webhook;
const webhook = new Request(`${SITE}/webhooks/clerk/`, { method: "POST", body, headers });
const event = await verifyWebhook(webhook, { signingSecret: clerk.webhook_secret });

console.log(JSON.stringify({
  listed: listed.data.map((each) => each.id).join() === user.id && listed.totalCount === 1,
  merged: merged.publicMetadata,
  name: (await client.users.getUser(user.id)).lastName,
  refusal,
  first: [first.status, first.reason],
  resolved: resolved.status,
  signed_in: [signedIn.status, claims.sub === user.id, claims.role],
  forged: forged.status,
  revoked: revoked.status,
  ended: ended.headers.getSetCookie().some((line) => line.startsWith("__client_uat=0")),
  event: event.type,
  deleted: (await client.users.deleteUser(user.id)).deleted,
}));
