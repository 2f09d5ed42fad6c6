/** Three things that no generator makes: an error with words, every page of a list, and a request that is sent again. */

import createClient, { type Client } from "openapi-fetch";
import { setTimeout as sleep } from "node:timers/promises";
import type { components, paths } from "./api.ts";

const TRIES = 5;

type Refusal = components["schemas"]["ErrorResponse"] | components["schemas"]["Problem"];
type Answer<Body> = { data?: Body; error?: Refusal; response: Response };
type Page<Row> = { data: Row[]; meta: components["schemas"]["PageMeta"] };

/** Refusal of the server, in its own words. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(refusal: Refusal | undefined, status: number) {
    // The envelope, or problem details for who asks for them.
    const { code, text } =
      refusal && "error" in refusal
        ? { code: refusal.error.code, text: refusal.error.message }
        : { code: refusal?.code ?? "unknown", text: refusal?.detail ?? "" };
    super(`${status} ${code}: ${text}`);
    this.status = status;
    this.code = code;
  }
}

/** Return the body of an answer, or throw the refusal. */
export function got<Body>({ data, error, response }: Answer<Body>): Body {
  if (data === undefined) throw new Refused(error, response.status);
  return data;
}

/** Yield each thing of a list, by cursors, so that none is lost or met twice while others come and go. */
export async function* everyPage<Row>(listPage: (cursor: string) => Promise<Answer<Page<Row>>>): AsyncGenerator<Row> {
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: Page<Row> = got(await listPage(cursor));
    yield* page.data;
    cursor = page.meta.pagination.next_cursor;
  }
}

/**
 * Send a request, and again after a lost connection, and after 429 and 503 when `Retry-After` says so.
 *
 * A POST gets an idempotency key, and keeps it, so it has its effect once however often it is sent.
 */
export async function retrying(request: Request, send = fetch): Promise<Response> {
  if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
    request.headers.set("Idempotency-Key", crypto.randomUUID());
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await send(request.clone());
      if (![429, 503].includes(answer.status) || attempt === TRIES) return answer;
      await sleep(1000 * Number(answer.headers.get("Retry-After") ?? 1));
    } catch (lost) {
      if (attempt === TRIES) throw lost;
      await sleep(2 ** attempt * 125);
    }
  }
}

/** Log in, and return a client that repeats what may be repeated. */
export async function logIn(baseUrl: string, username: string, password: string): Promise<Client<paths>> {
  const stranger = createClient<paths>({ baseUrl, fetch: (request) => retrying(request) });
  const tokens = got(await stranger.POST("/v1/auth/login", { body: { username, password } }));
  const headers = { Authorization: `Bearer ${tokens.access_token}` };
  return createClient<paths>({ baseUrl, fetch: (request) => retrying(request), headers });
}
