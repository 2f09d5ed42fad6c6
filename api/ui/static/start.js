// Starts Swagger UI. In a file of its own, because the policy of the page forbids scripts inside it.
"use strict";

const CSRF_HEADER = "X-CSRF-TOKEN";
const STORED = "tasklane.authorized";
// The tag that is open before anybody opens one.
const FIRST_TAG = "tasks";
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];

// The theme is that of the system, also while it changes.
const darkness = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", darkness.matches);
darkness.addEventListener("change", follow);
follow();

// Swagger UI itself would write tokens to localStorage, for every tab and for good.
// In sessionStorage they live as long as the tab, and no password is written at all.
const rememberAuthorization = () => ({
  statePlugins: {
    auth: {
      wrapSelectors: {
        // The cookie comes and goes with POST and DELETE /auth/session, and no page can type one in.
        definitionsToAuthorize: (original) => () => {
          const isTyped = (way) => way.get("in") !== "cookie" && way.get("name") !== CSRF_HEADER;
          return original()?.filter((ways) => ways.every(isTyped));
        },
      },
      wrapActions: {
        persistAuthorizationIfNeeded: (original, system) => () => {
          const kept = {};
          for (const [name, way] of Object.entries(system.authSelectors.authorized().toJS())) {
            const { password, clientSecret, ...rest } = way;
            kept[name] = rest;
          }
          if (Object.keys(kept).length) sessionStorage.setItem(STORED, JSON.stringify(kept));
          else sessionStorage.removeItem(STORED);
        },
      },
    },
    configs: {
      wrapActions: {
        loaded: (original, system) => (...args) => {
          original(...args);
          const kept = sessionStorage.getItem(STORED);
          if (kept) system.authActions.restoreAuthorization({ authorized: JSON.parse(kept) });
        },
      },
    },
  },
});

// One tag is open at first, and all of them while something is looked for.
const openTags = () => ({
  statePlugins: {
    layout: {
      wrapSelectors: {
        isShown: (original, system) => (state, thing, byDefault) => {
          const isTag = Array.isArray(thing) && thing.length === 2 && thing[0] === "operations-tag";
          const filter = isTag && state.get("filter");
          if (filter && filter !== true && filter !== "true") return true;
          return original(thing, byDefault || (isTag && thing[1] === FIRST_TAG));
        },
      },
    },
  },
});

// Swagger UI reads the whole document anew for each operation that is opened, a second of work. All references
// of ours lead to a place in the same document and none leads back to itself, so following them is all there is to do.
const followReferences = () => ({
  fn: {
    resolveSubtree: async (whole, path) => {
      const at = (start, steps) => steps.reduce((found, step) => found?.[step], start);
      const resolved = (node) => {
        if (Array.isArray(node)) return node.map(resolved);
        if (node === null || typeof node !== "object") return node;
        const { $ref, ...rest } = node;
        const own = Object.fromEntries(Object.entries(rest).map(([name, part]) => [name, resolved(part)]));
        if (typeof $ref !== "string") return $ref === undefined ? own : { ...own, $ref: resolved($ref) };
        // The name of a model in the page is the end of this.
        return { ...resolved(at(whole, $ref.split("/").slice(1))), ...own, $$ref: $ref };
      };
      const found = resolved(at(whole, path));
      if (path[0] === "paths" && path.length === 3) {
        // What all operations of a path take is said once, beside them.
        const shared = resolved(at(whole, ["paths", path[1], "parameters"]) || []);
        found.parameters = [...shared, ...(found.parameters || [])];
      }
      return { spec: found, errors: [] };
    },
  },
});

// Swagger UI takes `_` in an address for a space of former days, and complains; our operations have names with it.
const readAddress = () => ({
  statePlugins: {
    layout: {
      wrapActions: {
        parseDeepLinkHash: (original, system) => (hash) => {
          const parts = hash.replace(/^#!?\/?/, "").split("/").filter(Boolean);
          if (!parts.length) return;
          const key = system.layoutSelectors.isShownKeyFromUrlHashArray(parts);
          if (parts.length > 1) system.layoutActions.show(["operations-tag", parts[0]], true);
          system.layoutActions.show(key, true);
          system.layoutActions.scrollTo(key);
          system.layoutActions.scrollToVirtualizedOperation(key);
        },
      },
    },
  },
});

// Whoever has opened a session by POST /auth/session is known by its cookie. What changes something needs
// its CSRF token too, as long as no other credentials are sent.
const sendCsrfToken = (request) => {
  const names = Object.keys(request.headers || {}).map((name) => name.toLowerCase());
  const found = /(?:^|; )tasklane_csrf=([^;]+)/.exec(document.cookie);
  const isKnownOtherwise = names.includes("authorization") || names.includes("x-api-key");
  if (found && !isKnownOtherwise && !SAFE_METHODS.includes((request.method || "GET").toUpperCase())) {
    request.headers = { ...request.headers, [CSRF_HEADER]: decodeURIComponent(found[1]) };
  }
  return request;
};

addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: document.body.dataset.document,
    dom_id: "#swagger-ui",
    plugins: [rememberAuthorization, openTags, followReferences, readAddress],
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    docExpansion: "none",
    filter: true,
    requestInterceptor: sendCsrfToken,
    tryItOutEnabled: true,
    validatorUrl: null,
  });
});
