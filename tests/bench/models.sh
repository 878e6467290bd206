#!/usr/bin/env bash
# Makes the model files below target/bench/models, once; LLAMA is the folder of llama.cpp's programs.
# The test model comes in Q4_1; the other formats are made of that, so they measure speed and not quality.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/bench
here=tests/bench
folder=$state/models
llama=${LLAMA:-$state/llama.cpp/build/bin}
mkdir -p "$folder" "$state/logs"
name=SmolLM2-135M-Instruct
[ -e "$folder/$name.Q4_1.gguf" ] || ln -s "$(tests/reference/model.sh)" "$folder/$name.Q4_1.gguf"

# A file is there when it is whole.
make_file() {
  local file=$1
  shift
  [ -f "$file" ] && return
  echo "making $file" >&2
  "$@" >"$state/logs/models.log" 2>&1 || { tail -5 "$state/logs/models.log" >&2; rm -f "$file.new"; exit 1; }
  mv "$file.new" "$file"
}

for format in Q4_0 Q8_0 Q4_K_M F16; do
  file=$folder/$name.$format.gguf
  make_file "$file" "$llama/llama-quantize" --allow-requantize "$folder/$name.Q4_1.gguf" "$file.new" "$format"
done
file=$folder/GPT-2-124M-random.Q8_0.gguf
make_file "$file" "$state/peers/bin/python" "$here/gpt2.py" "$folder/$name.Q4_1.gguf" "$file.new"

if [ "${1:-}" = encoders ]; then
  minilm=$(tests/reference/minilm.sh)
  file=$folder/all-MiniLM-L6-v2.F16.gguf
  if [ -f "$state/llama.cpp/src/convert_hf_to_gguf.py" ]; then
    make_file "$file" "$state/encoders/bin/python" "$state/llama.cpp/src/convert_hf_to_gguf.py" --outtype f16 --outfile "$file.new" "$minilm"
  fi
fi
