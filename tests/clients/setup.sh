#!/usr/bin/env bash
# Installs what tests speak with: the third-party MQTT clients of tests/tests/broker_clients.rs, the SMTP server of
# alerting/tests/telling/email.rs. May run again at any time.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
target="${CARGO_TARGET_DIR:-$here/../../target}"

command -v mosquitto_sub >/dev/null || {
  echo "mosquitto_sub and mosquitto_pub are missing: apt-get install mosquitto-clients" >&2
  exit 1
}

# MQTT.js, as package-lock.json says.
if [ ! -e "$here/node_modules/.package-lock.json" ] || [ "$here/package-lock.json" -nt "$here/node_modules/.package-lock.json" ]; then
  (cd "$here" && npm ci --loglevel=error)
fi

# paho-mqtt and aiosmtpd, in an environment of its own.
venv="$target/test-clients/venv"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
