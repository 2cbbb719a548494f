"""The classes of the contract, as generate.py makes them."""

import os
import sys
from pathlib import Path

# First on the path, because the package is called `discord`, and so is a well-known library.
sys.path.insert(0, os.environ.get("CONTRACT_FOLDER", str(Path(__file__).resolve().parent / "gen")))

try:
    from discord.v1.rest_message_pb2 import CreateMessageRequest
    from gateway.v1.error_pb2 import Error
    from gateway.v1.event_pb2 import Event, EventBatch, Source
    from gateway.v1.interactions_pb2 import InteractionResponse
    from gateway.v1.status_pb2 import ReshardPhase, SessionStart, ShardReason, ShardState
    from gateway.v1.voice_pb2 import (
        VoiceAudio,
        VoiceJoinRequest,
        VoiceLeaveRequest,
        VoicePlayRequest,
        VoiceRecordRequest,
        VoiceStopRecordRequest,
        VoiceStopRequest,
    )
except ImportError as error:
    sys.exit(f"{error}\nMake the classes of the contract first, with: python generate.py")

__all__ = [
    "CreateMessageRequest",
    "Error",
    "Event",
    "EventBatch",
    "InteractionResponse",
    "ReshardPhase",
    "SessionStart",
    "ShardReason",
    "ShardState",
    "Source",
    "VoiceAudio",
    "VoiceJoinRequest",
    "VoiceLeaveRequest",
    "VoicePlayRequest",
    "VoiceRecordRequest",
    "VoiceStopRecordRequest",
    "VoiceStopRequest",
]
