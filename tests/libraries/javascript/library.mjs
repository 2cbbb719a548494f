// discord.js, unmodified, with the gateway as its base URL: a message is made, edited and deleted, and a file goes along.

import assert from "node:assert/strict";
import { Client, DiscordAPIError, WebhookClient } from "discord.js";

const { BASE, CHANNEL, TOKEN, WEBHOOK } = process.env;
const TEXT = Buffer.from("a file, \0\xff and all", "latin1");

const rest = { api: `${BASE}/api` };
const client = new Client({ intents: [], rest });
client.rest.setToken(TOKEN);
const channel = await client.channels.fetch(CHANNEL, { allowUnknownGuild: true });

const message = await channel.send("made by discord.js");
await channel.messages.edit(message.id, "edited by discord.js");
const found = await channel.messages.fetch({ message: message.id, force: true });
assert.equal(found.content, "edited by discord.js");

const withFile = await channel.send({
  content: "a file",
  files: [{ attachment: TEXT, name: "data.bin" }],
});
const attachment = withFile.attachments.first();
assert.equal(attachment.name, "data.bin");
const file = await fetch(attachment.url, { headers: { "User-Agent": "DiscordBot (test, 1)" } });
assert.deepEqual(Buffer.from(await file.arrayBuffer()), TEXT);

await channel.messages.delete(message.id);
await channel.messages.delete(withFile.id);
await assert.rejects(channel.messages.fetch({ message: message.id, force: true }), (error) => {
  assert(error instanceof DiscordAPIError, error);
  assert.equal(error.code, 10008);
  return true;
});

// More than the bucket takes in a second: nothing of it is seen here.
let limited = 0;
client.rest.on("rateLimited", () => (limited += 1));
const sent = await Promise.all([...Array(8).keys()].map((number) => channel.send(`${number}`)));
assert.equal(new Set(sent.map((each) => each.id)).size, 8);
assert.equal(limited, 0);

// A webhook's path has its token in it: the library sends no other.
const hook = new WebhookClient({ id: WEBHOOK, token: "token" }, { rest });
const byHook = await hook.send("by the webhook");
await hook.deleteMessage(byHook.id);

client.destroy();
console.log("discord.js: all is well");
