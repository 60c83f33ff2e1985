// MQTT.js over a WebSocket in TLS. `node watch_mqttjs.mjs PORT CA_FILE VERSION KEY watch FILTER COUNT | publish TOPIC PAYLOAD`
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const [port, caFile, version, key, deed, ...words] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${line}\n`);
const client = mqtt.connect(`wss://localhost:${port}/mqtt`, {
  ca: readFileSync(caFile),
  protocolVersion: Number(version),
  username: "anyone",
  password: key,
  reconnectPeriod: 0,
});
const end = (code) => client.end(false, {}, () => process.exit(code));

client.on("error", (error) => {
  say(`refused ${error.code}`);
  process.exit(5);
});
client.on("connect", () => {
  if (deed === "publish") {
    const [topic, payload] = words;
    client.publish(topic, payload, { qos: 1, retain: true }, (error) => {
      say(error ? `denied ${error.code}` : "published");
      end(0);
    });
    return;
  }
  const [filter, count] = words;
  let left = Number(count);
  client.on("message", (topic, payload) => {
    say(`${topic} ${payload}`);
    left -= 1;
    if (left === 0) end(0);
  });
  client.subscribe(filter, { qos: 1 }, (error, granted) => {
    if (error || granted.some((g) => g.qos >= 0x80)) {
      say("denied");
      end(3);
    }
  });
});
