"""Joins a voice channel, plays a file to its end, and leaves: by messages to gateway-voice.

usage: python play.py GUILD CHANNEL FILE
"""

import os
import sys
from pathlib import Path

import pika
from contract import Error, Event, VoiceJoinRequest, VoiceLeaveRequest, VoicePlayRequest

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
PREFIX = os.environ.get("AMQP_PREFIX", "discord")
APPLICATION = os.environ["DISCORD_APPLICATION_ID"]

connection = pika.BlockingConnection(pika.URLParameters(URL))
channel = connection.channel()


def ask(method, request):
    replies = []
    channel.basic_consume(
        "amq.rabbitmq.reply-to", lambda *reply: replies.append(reply), True, consumer_tag=method
    )
    key = f"voice.{method}.{APPLICATION}.{request.guild_id}"
    properties = pika.BasicProperties(
        type=f"gateway.v1.Voice/{method}", reply_to="amq.rabbitmq.reply-to"
    )
    channel.basic_publish(f"{PREFIX}.requests", key, request.SerializeToString(), properties)
    while not replies:
        connection.process_data_events(time_limit=1)
    channel.basic_cancel(method)
    if replies[0][2].type == "gateway.v1.Error":  # it says what was wrong
        sys.exit(f"{method}: {Error.FromString(replies[0][3]).message}")


guild, voice_channel, file = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, f"{PREFIX}.events", f"*.TRACK_END.{guild}.#")
ask("Join", VoiceJoinRequest(guild_id=guild, channel_id=voice_channel))
ask("Play", VoicePlayRequest(guild_id=guild, track={"data": file.read_bytes()}))
_, _, body = next(channel.consume(queue, auto_ack=True))
print(Event.FromString(body).track_end)
channel.cancel()
ask("Leave", VoiceLeaveRequest(guild_id=guild))
