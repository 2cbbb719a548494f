"""A voice call: a worker plays a tone through gateway-voice, and the simulated Discord says what it heard."""

import math
import os
import subprocess
import sys
import wave
from array import array
from pathlib import Path

from processes import FOLDER, ROOT, Failure, Processes, say
from simulator import Simulator

PLAYER = ROOT / "examples" / "python-worker" / "play.py"
HERTZ = 440
SECONDS = 2
RATE = 48_000
# For joining, the tone and leaving.
PATIENCE = 60


def show_call(processes: Processes, simulator: Simulator) -> None:
    """Plays the tone in a channel of the first guild."""
    tone = FOLDER / "tone.wav"
    write_tone(tone)
    guild, channel = simulator.voice_channel()
    settings = processes.settings | {"DISCORD_APPLICATION_ID": simulator.application_id()}
    try:
        played = subprocess.run(
            [sys.executable, PLAYER, guild, channel, tone],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"no tone was played within {PATIENCE} s{processes.logs()}") from None
    if played.returncode != 0:
        raise Failure(f"the player ended with {played.stderr}{processes.logs()}")
    heard = simulator.heard()
    say(
        f"a tone of {HERTZ} Hz was played in a voice channel; heard were {heard['frequency_hz']:.1f} Hz"
        f" for {heard['audio_ms'] / 1000:.1f} s, {heard['gaps']} gaps"
    )


def write_tone(path: Path) -> None:
    step = 2 * math.pi * HERTZ / RATE
    samples = array("h", (round(8_000 * math.sin(step * at)) for at in range(RATE * SECONDS)))
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def save_certificate(simulator: Simulator) -> Path:
    """What gateway-voice has to trust, as the simulated voice server has a certificate of its own."""
    path = FOLDER / "voice.pem"
    path.write_text(simulator.voice_certificate())
    return path
