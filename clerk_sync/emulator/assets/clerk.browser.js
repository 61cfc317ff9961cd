// A stand-in for ClerkJS, served by the local Clerk where ManagerOS expects the real one. It keeps the parts of the
// real one's contract that the site relies on: window.Clerk, its cookies, its components' mount functions, getToken.
(() => {
  "use strict";

  const script = document.currentScript;
  const frontendApi = new URL(script.src).origin;
  const publishableKey = script.getAttribute("data-clerk-publishable-key") || "";
  const isLive = publishableKey.startsWith("pk_live_");
  const YEAR = 365 * 24 * 3600;
  const POLL = 5000; // milliseconds, as the real one's

  // --- Cookies: each with and without the suffix that tells this instance from another on the same host

  let suffix = "";

  async function learnSuffix() {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(publishableKey)));
    suffix = btoa(String.fromCharCode(...digest)).replace(/\+/g, "-").replace(/\//g, "_").slice(0, 8);
  }

  function readCookie(name) {
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
    return found ? found.slice(name.length + 1) : "";
  }

  function writeCookie(name, value, sameSite, maxAge = YEAR) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    for (const each of [name, `${name}_${suffix}`]) {
      document.cookie = `${each}=${value}; Path=/; SameSite=${sameSite}; Max-Age=${maxAge}${secure}`;
    }
  }

  function writeSession(token) {
    writeCookie("__session", token || "", "Lax", token ? YEAR : 0);
  }

  function writeClientUat(client) {
    const signedIn = client && client.sessions.some((session) => session.status === "active");
    const seconds = signedIn ? Math.floor(client.updated_at / 1000) : 0;
    writeCookie("__client_uat", String(seconds), isLive ? "Lax" : "Strict");
  }

  // --- The Frontend API

  async function request(method, path, fields) {
    const url = new URL(`/v1${path}`, frontendApi);
    const browser = devBrowser();
    if (browser) url.searchParams.set("__clerk_db_jwt", browser);
    const answer = await fetch(url, {
      method,
      credentials: "include",
      body: fields ? new URLSearchParams(fields) : undefined,
    });
    const body = await answer.json();
    if (!answer.ok) {
      const first = (body.errors && body.errors[0]) || { message: `Clerk answered ${answer.status}` };
      throw Object.assign(new Error(first.long_message || first.message), { status: answer.status, errors: body.errors });
    }
    return body;
  }

  function devBrowser() {
    return isLive ? "" : readCookie(`__clerk_db_jwt_${suffix}`) || readCookie("__clerk_db_jwt");
  }

  async function findDevBrowser() {
    if (isLive) return;
    const here = new URL(location.href);
    const given = here.searchParams.get("__clerk_db_jwt");
    if (given) {
      writeCookie("__clerk_db_jwt", given, "Lax");
      here.searchParams.delete("__clerk_db_jwt");
      history.replaceState(history.state, "", here);
    }
    if (!devBrowser()) writeCookie("__clerk_db_jwt", (await request("POST", "/dev_browser")).id, "Lax");
  }

  // --- Tokens

  function claims(token) {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload));
  }

  function isFresh(token) {
    if (!token) return false;
    const { exp, iat } = claims(token);
    const leeway = Math.min(10, (exp - iat) / 3); // seconds
    return exp - leeway > Date.now() / 1000;
  }

  class Session {
    constructor(record) {
      this.id = record.id;
      this.status = record.status;
      this.user = record.user;
      this.actor = record.actor;
      this.token = record.last_active_token ? record.last_active_token.jwt : "";
      this.lastActiveToken = { getRawString: () => this.token };
      this.pending = null;
    }

    // A token of the session, or of a template; null when the session is over. One request serves all who wait.
    async getToken({ template, skipCache = false } = {}) {
      if (template) return (await request("POST", `/client/sessions/${this.id}/tokens/${template}`, {})).jwt;
      if (!skipCache && isFresh(this.token)) return this.token;
      this.pending ||= this.fetchToken().finally(() => { this.pending = null; });
      return this.pending;
    }

    async fetchToken() {
      try {
        this.token = (await request("POST", `/client/sessions/${this.id}/tokens`, {})).jwt;
      } catch (error) {
        if (error.status !== 401 && error.status !== 404) throw error;
        await clerk.refreshClient();
        return null;
      }
      if (clerk.session === this) writeSession(this.token);
      return this.token;
    }

    async touch() {
      await request("POST", `/client/sessions/${this.id}/touch`, {});
    }
  }

  // --- window.Clerk

  class Clerk {
    constructor() {
      this.publishableKey = publishableKey;
      this.frontendApi = frontendApi;
      this.version = "0.0.0-local";
      this.instanceType = isLive ? "production" : "development";
      this.loaded = false;
      this.client = this.session = this.user = null;
      this.options = {};
      this.listeners = new Set();
      this.loading = null;
    }

    get isSignedIn() {
      return Boolean(this.session);
    }

    load(options = {}) {
      this.options = { ...this.options, ...options };
      this.loading ||= this.start();
      return this.loading;
    }

    async start() {
      await learnSuffix();
      await findDevBrowser();
      await this.refreshClient();
      this.loaded = true;
      setInterval(() => this.keepFresh(), POLL);
      for (const woken of ["focus", "online", "pageshow"]) addEventListener(woken, () => this.keepFresh());
      document.addEventListener("visibilitychange", () => this.keepFresh());
      this.emit();
    }

    // The poll of an open page, and what happens when a sleeping one wakes.
    async keepFresh() {
      if (!this.session || document.visibilityState === "hidden" || isFresh(this.session.token)) return;
      try {
        await this.session.getToken();
      } catch (error) {
        console.warn("The local Clerk could not be asked for a token; trying again.", error);
      }
    }

    async refreshClient() {
      this.take((await request("GET", "/client")).response);
    }

    take(client) {
      this.client = client;
      const active = client && client.sessions.find((session) => session.id === client.last_active_session_id);
      const record = active && active.status === "active" ? active : null;
      this.session = record ? new Session(record) : null;
      this.user = record ? record.user : null;
      writeClientUat(client);
      writeSession(this.session && this.session.token);
      this.emit();
    }

    async setActive({ session, redirectUrl } = {}) {
      if (session === null) await this.signOut({ redirectUrl });
      await this.refreshClient();
      if (redirectUrl) this.navigate(redirectUrl);
    }

    async signOut(first, second) {
      const { redirectUrl } = (typeof first === "function" ? second : first) || {};
      const { response } = await request("DELETE", "/client/sessions");
      this.take(response);
      if (typeof first === "function") await first();
      else this.navigate(redirectUrl || this.options.afterSignOutUrl || "/");
    }

    addListener(listener) {
      this.listeners.add(listener);
      if (this.loaded) listener(this.resources());
      return () => this.listeners.delete(listener);
    }

    emit() {
      for (const listener of this.listeners) listener(this.resources());
    }

    resources() {
      return { client: this.client, session: this.session, user: this.user };
    }

    navigate(url) {
      location.assign(new URL(url, location.href));
    }

    buildSignInUrl({ redirectUrl, signInForceRedirectUrl } = {}) {
      const url = new URL(this.options.signInUrl || `${frontendApi}/sign-in`, location.href);
      url.searchParams.set("redirect_url", redirectUrl || signInForceRedirectUrl || location.href);
      return url.href;
    }

    redirectToSignIn(options) {
      this.navigate(this.buildSignInUrl(options));
    }

    mountSignIn(node, props = {}) {
      mountForm(node, "Sign in", [["email", "Email address", "identifier", true]], async (fields) => {
        const { response } = await request("POST", "/client/sign_ins", fields);
        const path = `/client/sign_ins/${response.id}`;
        await request("POST", `${path}/prepare_first_factor`, { strategy: "email_code" });
        return `${path}/attempt_first_factor`;
      }, () => afterwards("signIn", props));
    }

    mountSignUp(node, props = {}) {
      const inputs = [
        ["text", "First name", "first_name", false],
        ["text", "Last name", "last_name", false],
        ["email", "Email address", "email_address", true],
      ];
      mountForm(node, "Sign up", inputs, async (fields) => {
        const { response } = await request("POST", "/client/sign_ups", fields);
        const path = `/client/sign_ups/${response.id}`;
        await request("POST", `${path}/prepare_verification`, { strategy: "email_code" });
        return `${path}/attempt_verification`;
      }, () => afterwards("signUp", props));
    }

    mountUserButton(node, props = {}) {
      const render = () => {
        node.replaceChildren();
        if (!this.user) return;
        const name = [this.user.first_name, this.user.last_name].filter(Boolean).join(" ") || "Account";
        const email = this.user.email_addresses[0];
        const menu = element("details", { className: "cl-userButton" });
        const out = element("button", { type: "button", textContent: "Sign out" });
        out.addEventListener("click", () => this.signOut({ redirectUrl: props.afterSignOutUrl }));
        menu.append(
          element("summary", { textContent: name, title: "Your account at Clerk" }),
          element("p", { textContent: email ? email.email_address : "" }),
          out,
        );
        node.append(menu);
      };
      render();
      mounted.set(node, this.addListener(render));
    }

    unmountSignIn(node) { unmount(node); }
    unmountSignUp(node) { unmount(node); }
    unmountUserButton(node) { unmount(node); }
  }

  // --- Components, without a style of their own: the page's fits them, and its content policy allows no other

  const mounted = new Map();

  function unmount(node) {
    const forget = mounted.get(node);
    if (forget) forget();
    mounted.delete(node);
    node.replaceChildren();
  }

  function element(name, properties = {}) {
    return Object.assign(document.createElement(name), properties);
  }

  function afterwards(kind, props) {
    const asked = new URL(location.href).searchParams.get("redirect_url");
    const url = props.forceRedirectUrl || clerk.options[`${kind}ForceRedirectUrl`] || asked
      || props.fallbackRedirectUrl || clerk.options[`${kind}FallbackRedirectUrl`] || "/";
    return clerk.setActive({ redirectUrl: url });
  }

  function mountForm(node, title, inputs, begin, finish) {
    const form = element("form", { className: `cl-rootBox cl-${title === "Sign in" ? "signIn" : "signUp"}` });
    const problem = element("p", { className: "cl-formFieldErrorText" });
    problem.setAttribute("role", "alert");
    const show = (fields, label) => {
      const button = element("button", { type: "submit", className: "cl-formButtonPrimary", textContent: label });
      form.replaceChildren(...fields.map(field), problem, button);
      form.querySelector("input").focus();
    };
    let attempt = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      const fields = Object.fromEntries(new FormData(form));
      const button = form.querySelector("button");
      button.disabled = true;
      try {
        if (attempt) {
          await request("POST", attempt, { strategy: "email_code", ...fields });
          await finish();
        } else {
          attempt = await begin(fields);
          show([["text", "Code sent to you (the local Clerk's is always 424242)", "code", true]], "Continue");
        }
      } catch (error) {
        problem.textContent = error.message;
      } finally {
        form.querySelector("button").disabled = false;
      }
    });
    show(inputs, title);
    node.replaceChildren(form);
  }

  function field([type, label, name, required]) {
    const wrapper = element("label", { className: "cl-formField" });
    wrapper.append(element("span", { textContent: label }), element("input", { type, name, required, className: "cl-formFieldInput" }));
    return wrapper;
  }

  const clerk = new Clerk();
  window.Clerk = clerk;
})();
