#!/bin/sh
# Makes the music for whoever waits, with sox alone: sh prompts/hold.sh prompts/en/hold.wav
# Sixteen bars of three seconds, each a chord that swells and fades under four plucked strings. What rings on past the
# last bar is laid over the first, so that it goes round without a seam.
set -eu
out=$(realpath -m "${1:?usage: hold.sh OUT.wav}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bar=0
layers=""
# Three notes of a chord and one of the melody, in semitones from A4.
while read -r root third fifth melody; do
  sox -D -n -r 16000 -c 1 -b 16 pad.wav synth 3 sine "%$root" sine "%$third" sine "%$fifth" remix 1,2,3 \
    fade q 0.7 3 0.9 gain -n -13 pad 0 1
  at=0
  for note in "$root" "$third" "$fifth" "$melody"; do
    sox -D -n -r 16000 -c 1 -b 16 "pluck$at.wav" synth 1.4 pluck "%$note" fade q 0.005 1.4 0.8 lowpass 2600 gain -n -9 \
      pad "$(echo "$at * 0.75" | bc)"
    at=$((at + 1))
  done
  sox -D -m -v 0.8 pad.wav -v 0.5 pluck0.wav -v 0.5 pluck1.wav -v 0.5 pluck2.wav -v 0.6 pluck3.wav "bar$bar.wav" \
    pad $((bar * 3))
  layers="$layers -v 1 bar$bar.wav"
  bar=$((bar + 1))
done <<'NOTES'
-9 -5 -2 3
-12 -9 -5 0
-16 -9 -4 3
-14 -7 -2 2
-9 -5 -2 7
-12 -5 0 3
-7 -4 0 5
-14 -10 -2 2
-9 -5 -2 3
-12 -9 -5 0
-16 -9 -4 3
-14 -7 -2 5
-12 -5 0 7
-7 -4 0 5
-14 -7 -2 2
-9 -5 -2 3
NOTES
# shellcheck disable=SC2086
sox -D -m $layers long.wav
sox -D long.wav body.wav trim 0 48
sox -D long.wav tail.wav trim 48
sox -D -m -v 1 body.wav -v 1 tail.wav mixed.wav trim 0 48 highpass 120 lowpass 3200
level=$(sox mixed.wav -n stats 2>&1 | awk '/RMS lev dB/ { print $4 }')
sox -D mixed.wav -b 16 "$out" gain -l "$(echo "-25 - ($level)" | bc)"
