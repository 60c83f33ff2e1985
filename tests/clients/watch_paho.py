"""paho-mqtt over TLS. `python watch_paho.py PORT CA_FILE VERSION KEY watch FILTER COUNT | publish TOPIC PAYLOAD`"""

import sys

import paho.mqtt.client as mqtt

port, ca_file, version, key, deed, *words = sys.argv[1:]
left = int(words[1]) if deed == "watch" else 0
code = 0


def say(line):
    print(line, flush=True)


def end(client, how):
    global code
    code = how
    client.disconnect()


def on_connect(client, _data, _flags, reason, _properties):
    if reason.is_failure:
        say(f"refused {reason.value}")
        end(client, 5)
    elif deed == "watch":
        client.subscribe(words[0], 1)
    else:
        client.publish(words[0], words[1], 1, retain=True)


def on_subscribe(client, _data, _id, reasons, _properties):
    if any(reason.is_failure for reason in reasons):
        say("denied")
        end(client, 3)


def on_publish(client, _data, _id, reason, _properties):
    say(f"denied {reason.value}" if reason.is_failure else "published")
    end(client, 0)


def on_message(client, _data, message):
    global left
    say(f"{message.topic} {message.payload.decode()}")
    left -= 1
    if left == 0:
        end(client, 0)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTProtocolVersion(int(version)))
client.username_pw_set("anyone", key)
client.tls_set(ca_certs=ca_file)
client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_publish, client.on_message = on_publish, on_message
client.connect("localhost", int(port))
client.loop_forever(retry_first_connection=False)
sys.exit(code)
