/** The first five lines: node quick_start.ts URL USERNAME PASSWORD */

import { everyPage, got, logIn } from "./helpers.ts";

const [url, username, password] = process.argv.slice(2) as [string, string, string];

const client = await logIn(url, username, password);
const task = got(await client.POST("/v1/tasks", { body: { title: "Renew the certificate" } })).data;
await client.PATCH("/v1/tasks/{task_id}", { params: { path: { task_id: task.id } }, body: { status: "in_progress" } });
const open = (cursor: string) => client.GET("/v1/tasks", { params: { query: { cursor, status: ["pending", "in_progress"] } } });
for await (const one of everyPage(open)) console.log(one.status, one.title);
