#!/usr/bin/env python3
"""Writes a sound to play through the amp: plucked strings (Karplus and Strong 1983), 48 kHz, 16 bits, one channel.

    examples/c/amp/make_sound.py in.wav [SECONDS]
"""

import array
import random
import sys
import wave

RATE = 48000
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
draw, samples = random.Random(1), []
while len(samples) < RATE * seconds:
    period = round(RATE / draw.choice([82.4, 110.0, 146.8, 196.0, 246.9, 329.6]))
    string = [draw.uniform(-0.8, 0.8) for _ in range(period)]
    for i in range(RATE // 2):
        string[i % period] = 0.4985 * (string[i % period] + string[(i + 1) % period])
        samples.append(round(32767 * string[i % period]))
with wave.open(sys.argv[1], "wb") as out:
    out.setnchannels(1)
    out.setsampwidth(2)
    out.setframerate(RATE)
    out.writeframes(array.array("h", samples[: int(RATE * seconds)]).tobytes())
