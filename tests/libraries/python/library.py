"""discord.py, unmodified, with the gateway as its base URL: a message is made, edited and deleted, and a file goes along."""

import asyncio
import io
import os
import urllib.request

import discord
import discord.http

discord.http.Route.BASE = os.environ["BASE"] + "/api/v10"

CHANNEL = int(os.environ["CHANNEL"])
TEXT = b"a file, \x00\xff and all"


async def main() -> None:
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(os.environ["TOKEN"])
        channel = client.get_partial_messageable(CHANNEL)

        message = await channel.send("made by discord.py")
        message = await message.edit(content="edited by discord.py")
        found = await channel.fetch_message(message.id)
        assert found.content == "edited by discord.py", found.content

        with_file = await channel.send("a file", file=discord.File(io.BytesIO(TEXT), "data.bin"))
        [attachment] = with_file.attachments
        assert attachment.filename == "data.bin", attachment
        assert download(attachment.url) == TEXT

        await message.delete()
        await with_file.delete()
        try:
            await channel.fetch_message(message.id)
            raise AssertionError("the message is still there")
        except discord.NotFound as error:
            assert error.code == 10008, error

        # More than the bucket takes in a second: nothing of it is seen here.
        sent = [channel.send(f"{number}") for number in range(8)]
        sent = await asyncio.gather(*sent)
        assert len({message.id for message in sent}) == 8

        # A webhook's path has its token in it: the library sends no other.
        hook = discord.Webhook.partial(int(os.environ["WEBHOOK"]), "token", client=client)
        message = await hook.send("by the webhook", wait=True)
        await hook.delete_message(message.id)


def download(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "DiscordBot (test, 1)"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


asyncio.run(main())
print("discord.py: all is well")
