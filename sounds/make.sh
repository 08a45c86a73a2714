#!/usr/bin/env bash
# Makes every sound of this folder anew. Needs espeak-ng, sox and flac; nobody who builds the programs does.
# All files: mono, 16 kHz, 16 bit. The texts are ours.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p demo moh silence

# say OUT.wav TEXT VOICE_OPTIONS...: one line of speech, without the silence around it
say() {
    local out=$1 text=$2
    shift 2
    espeak-ng "$@" -w "$work/raw.wav" "$text"
    sox -D "$work/raw.wav" -r 16000 -c 1 -b 16 "$out" \
        silence 1 0.01 0.3% reverse silence 1 0.01 0.3% reverse pad 0.02 0.02
}

# pack IN.wav OUT.flac: the committed form
pack() {
    flac --silent --force --best --no-padding --no-seektable -o "$2" "$1"
}

# note_hz C4: the frequency of a note in equal temperament, A4 being 440 Hz
note_hz() {
    awk -v note="${1%?}" -v octave="${1#?}" 'BEGIN {
        print 440 * 2 ^ ((index("C D EF G A B", note) - 10) / 12 + octave - 4)
    }'
}

# The demo's conversation: both talkers' files have one length, and while one speaks the other pauses.
agent_voice=(-v en-us+f3 -p 70 -s 175)
customer_voice=(-v en-gb+m7 -p 22 -s 150)
lines=(
    "agent|Good morning, order desk. What can I do for you?"
    "customer|Hello. My parcel was due on Tuesday, and it is not here yet."
    "agent|I am sorry to hear that. What is the order number?"
    "customer|It is four one, seven eight, five."
    "agent|Thank you. It left the depot an hour ago."
    "customer|Very good. Many thanks, and goodbye."
)
agent_parts=() customer_parts=() number=0
for line in "${lines[@]}"; do
    who=${line%%|*} text=${line#*|}
    number=$((number + 1))
    spoken=$work/$number.wav pause=$work/$number-pause.wav
    if [ "$who" = agent ]; then say "$work/line.wav" "$text" "${agent_voice[@]}"; else say "$work/line.wav" "$text" "${customer_voice[@]}"; fi
    sox -D "$work/line.wav" "$spoken" pad 0 0.25
    sox -D "$spoken" "$pause" vol 0
    if [ "$who" = agent ]; then
        agent_parts+=("$spoken") customer_parts+=("$pause")
    else
        agent_parts+=("$pause") customer_parts+=("$spoken")
    fi
done
sox -D "${agent_parts[@]}" "$work/agent.wav" gain -n -3
sox -D "${customer_parts[@]}" "$work/customer.wav" gain -n -3
pack "$work/agent.wav" demo/agent.flac
pack "$work/customer.wav" demo/customer.flac

# Prompts. They end at 5 kHz and keep 10 bits a sample, about what a telephone line carries, and take half the room.
# A text after `@` is the name of a letter.
prompt_voice=(-v en-us+f2 -p 55 -s 190 -m)
prompt() {
    local text=$2
    if [ "${text#@}" != "$text" ]; then text="<say-as interpret-as=\"characters\">${text#@}</say-as>"; fi
    say "$work/prompt.wav" "$text" "${prompt_voice[@]}"
    sox -D "$work/prompt.wav" -b 16 "$work/coarse.wav" sinc -5000 gain -n -6 vol 0.015625
    sox -D "$work/coarse.wav" -b 16 "$work/level.wav" vol 64
    mkdir -p "$(dirname "$1")"
    pack "$work/level.wav" "$1.flac"
}
while IFS='|' read -r name text; do
    prompt "$name" "$text" </dev/null
done < <(grep -v '^#' prompts.txt)
sox -D -n -r 16000 -c 1 -b 16 "$work/beep.wav" synth 0.2 sine 1000 fade q 0.005 0.2 0.005 gain -n -9
pack "$work/beep.wav" beep.flac
for seconds in 1 2 3 4 5 6 7 8 9 10; do
    sox -D -n -r 16000 -c 1 -b 16 "$work/silence.wav" trim 0 "$seconds"
    pack "$work/silence.wav" "silence/$seconds.flac"
done

# Music on hold: broken chords of ours, two voices, quiet, as coarse as the prompts.
chords=("C4 E4 G4 C5" "A3 C4 E4 A4" "F3 A3 C4 F4" "G3 B3 D4 G4" "E3 G3 B3 E4" "A3 C4 E4 A4" "D3 F3 A3 D4" "G3 B3 D4 F4")
notes=() number=0
for chord in "${chords[@]}"; do
    read -r one three five eight <<<"$chord"
    for note in "$one" "$three" "$five" "$eight" "$five" "$three" "$five" "$three"; do
        number=$((number + 1))
        sox -D -n -r 16000 -c 1 -b 16 "$work/note-$number.wav" \
            synth 0.4 sine "$(note_hz "$note")" synth 0.4 sine mix "$(note_hz "$one")" fade t 0.02 0.4 0.3 gain -n -14
        notes+=("$work/note-$number.wav")
    done
done
sox -D "${notes[@]}" -b 16 "$work/coarse.wav" vol 0.015625
sox -D "$work/coarse.wav" -b 16 "$work/level.wav" vol 64
pack "$work/level.wav" moh/default.flac
