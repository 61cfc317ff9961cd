// Keeps a page signed in for as long as it is open: starts Clerk's own script, which renews the session token every
// minute, and asks for a new token at once when the site says that the claims in the present one are out of date.
(() => {
  "use strict";

  const own = document.currentScript;
  const clerk = window.Clerk;
  if (!clerk) return; // Clerk could not be reached. The site works on; its server renews the session on navigation.

  const HEADER = "X-ManagerOS-Claims";
  const WAITS = [1, 2, 4, 8, 15, 30]; // seconds: a change is delivered to Clerk within a few
  const MOUNTS = {
    "sign-in": (element, options) => clerk.mountSignIn(element, options),
    "sign-up": (element, options) => clerk.mountSignUp(element, options),
    "user-button": (element, options) => clerk.mountUserButton(element, options),
  };

  let renewing = false;

  async function renew() {
    if (renewing) return;
    renewing = true;
    try {
      for (const seconds of WAITS) {
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        if (!clerk.session) return;
        await clerk.session.getToken({ skipCache: true });
        const answer = await fetch(own.dataset.freshnessUrl, { cache: "no-store" });
        if (answer.headers.get(HEADER) !== "stale") return;
      }
    } finally {
      renewing = false;
    }
  }

  function mount() {
    for (const element of document.querySelectorAll("[data-clerk-mount]")) {
      const options = element.dataset.redirectUrl ? { fallbackRedirectUrl: element.dataset.redirectUrl } : {};
      MOUNTS[element.dataset.clerkMount]?.(element, options);
    }
  }

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr?.getResponseHeader(HEADER) === "stale") renew();
  });

  async function start() {
    await clerk.load({ afterSignOutUrl: "/" });
    mount();
    document.documentElement.dataset.clerk = "loaded";
    if (own.dataset.claims === "stale") await renew();
  }

  start().catch((error) => console.warn("Clerk's script could not start:", error));
})();
