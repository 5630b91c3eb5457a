// Passkeys: the browser's own dialog between a challenge and a form.

import { fetchPart } from "./fragment.js";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function options(url) {
  const response = await fetchPart(url, { method: "POST" });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.json();
}

function submit(form, fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.append(field);
  }
  form.submit();
}

async function signIn(form) {
  const publicKey = await options("/sign-in/passkey/begin");
  publicKey.challenge = bytes(publicKey.challenge);
  const { id, response } = await navigator.credentials.get({ publicKey });
  submit(form, {
    id,
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData),
    signature: text(response.signature),
  });
}

async function add(form) {
  const publicKey = await options("/account/passkeys/begin");
  publicKey.challenge = bytes(publicKey.challenge);
  publicKey.user.id = bytes(publicKey.user.id);
  publicKey.excludeCredentials = publicKey.excludeCredentials.map((known) => ({ ...known, id: bytes(known.id) }));
  const { response } = await navigator.credentials.create({ publicKey });
  submit(form, {
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.getAuthenticatorData()),
    key: text(response.getPublicKey()),
    algorithm: response.getPublicKeyAlgorithm(),
  });
}

for (const [id, run] of [["passkey-sign-in", signIn], ["passkey-add", add]]) {
  const form = document.getElementById(id);
  if (!form || !window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = form.querySelector("[role=alert]");
    wrong.hidden = true;
    try {
      await run(form);
    } catch {
      wrong.hidden = false;
    }
  });
}
