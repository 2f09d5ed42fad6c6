/** The client of openapi-typescript and openapi-fetch, from the log-in to a file: node tour.ts URL USERNAME PASSWORD */

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./api.ts";
import { everyPage, got, logIn, Refused, retrying } from "./helpers.ts";

type Api = Client<paths>;
type Task = components["schemas"]["Task"];

const create = async (client: Api, title: string): Promise<Task> =>
  got(await client.POST("/v1/tasks", { body: { title } })).data;
const of = (task: Task) => ({ path: { task_id: task.id } });

/** Read a list in small pages, to its end, and of two statuses. */
async function pages(client: Api): Promise<void> {
  for (let number = 0; number < 7; number++) await create(client, `Page ${number}`);
  const titles: string[] = [];
  const found = everyPage((cursor) =>
    client.GET("/v1/tasks", { params: { query: { q: "Page", per_page: 3, cursor, status: ["pending", "completed"] } } }),
  );
  for await (const task of found) titles.push(task.title);
  assert.deepEqual(titles.sort(), [0, 1, 2, 3, 4, 5, 6].map((number) => `Page ${number}`));
}

/** Say null, change only what is as it was read, and repeat without a second effect. */
async function changes(client: Api): Promise<void> {
  const body = { title: "Water the plants", description: "All of them." };
  const params = { header: { "Idempotency-Key": crypto.randomUUID() } };
  const once = await client.POST("/v1/tasks", { body, params });
  const again = await client.POST("/v1/tasks", { body, params });
  assert.deepEqual(once.data, again.data);
  assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
  const task = got(once).data;
  const emptied = got(await client.PATCH("/v1/tasks/{task_id}", { params: of(task), body: { description: null } })).data;
  assert.deepEqual([emptied.title, emptied.description], ["Water the plants", null]);

  const read = await client.GET("/v1/tasks/{task_id}", { params: of(task) });
  await client.PATCH("/v1/tasks/{task_id}", { params: of(task), body: { title: "Water all plants" } });
  const header = { "If-Match": read.response.headers.get("ETag") ?? "" };
  const late = await client.PATCH("/v1/tasks/{task_id}", {
    params: { ...of(task), header },
    body: { title: "Water none" },
  });
  assert.equal(late.response.status, 412);
  assert.throws(() => got(late), { code: "precondition_failed" });
}

/** Meet a refusal: it is typed, and names each field. */
async function errors(client: Api): Promise<void> {
  const refused = await client.POST("/v1/tasks", { body: { title: "" } });
  assert.equal(refused.response.status, 422);
  assert.ok(refused.error && "error" in refused.error);
  assert.ok(refused.error.error.details?.["title"]?.[0]);
  const absent = await client.GET("/v1/tasks/{task_id}", { params: { path: { task_id: 999_999_999 } } });
  assert.throws(() => got(absent), (refusal) => refusal instanceof Refused && refusal.status === 404);
}

/** Lose an answer, and ask faster than the limit of the key lets in: each task is there once. */
async function retries(client: Api): Promise<void> {
  const wanted = { name: "Retries", scopes: ["tasks:read", "tasks:write"] } satisfies components["schemas"]["ApiKeyCreate"];
  const { key } = got(await client.POST("/v1/auth/keys", { body: wanted })).data;
  const keys: (string | null)[] = [];
  const statuses: number[] = [];
  const unreliable = async (request: Request): Promise<Response> => {
    const answer = await fetch(request);
    keys.push(request.headers.get("Idempotency-Key"));
    if (statuses.push(answer.status) === 1) throw new TypeError("The connection was lost.");
    return answer;
  };
  const hasty = createClient<paths>({
    baseUrl: url,
    headers: { "X-API-Key": key },
    fetch: (request) => retrying(request, unreliable as typeof fetch),
  });
  for (let number = 0; number < 12; number++) await create(hasty, `Retry ${number}`);
  const titles = new Set<string>();
  let count = 0;
  for await (const task of everyPage((cursor) => client.GET("/v1/tasks", { params: { query: { q: "Retry", cursor } } }))) {
    titles.add(task.title);
    count++;
  }
  assert.deepEqual([titles.size, count], [12, 12]);
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 12);
  assert.ok(statuses.includes(429), "This part wants an installation whose keys may ask 4 times a second.");
}

/** Return a job when it is over. */
async function followed(client: Api, job_id: string): Promise<components["schemas"]["JobDetails"]> {
  for (;;) {
    const params = { path: { job_id }, query: { wait: 20 } };
    const job = got(await client.GET("/v1/jobs/{job_id}", { params })).data;
    if (job.finished_at === null) continue;
    assert.equal(job.state, "succeeded", job.error ?? "");
    return job;
  }
}

/** Let a worker complete a task, upload a file, and download one. */
async function files(client: Api): Promise<void> {
  const task = await create(client, "Report");
  const ordered = got(await client.POST("/v1/tasks/{task_id}/process", { params: of(task) }));
  await followed(client, ordered.data.job_id);
  const done = got(await client.GET("/v1/tasks/{task_id}", { params: of(task) })).data;
  assert.equal(done.status, "completed");

  const form = new FormData();
  form.set("file", new Blob(["title,external_id\nBuy milk,a-1\nBuy bread,a-2\n"], { type: "text/csv" }), "tasks.csv");
  form.set("kind", "tasks");
  // The generated type of a file is a string, and a form cannot be said in it.
  const imported = got(await client.POST("/v1/imports", { body: form as never }));
  await followed(client, imported.data.job_id);

  const order = { kind: "tasks", format: "csv", sort: "title" } as const;
  const exported = got(await client.POST("/v1/exports", { body: order }));
  await followed(client, exported.data.job_id);
  const params = { path: { job_id: exported.data.job_id } };
  const written = got(await client.GET("/v1/jobs/{job_id}/result", { params, parseAs: "text" }));
  assert.match(written, /Buy bread[\s\S]*Buy milk/);
}

const [url, username, password] = process.argv.slice(2) as [string, string, string];
const client = await logIn(url, username, password);
for (const part of [pages, changes, errors, retries, files]) {
  await part(client);
  console.log(`${part.name}: as they should be`);
}
