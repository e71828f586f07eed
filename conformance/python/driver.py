"""Drives the Python client (gRPC, plain text). The line protocol is in ../README.md."""

import argparse
import base64
import json
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, Message,
                      MessageListener, Producer, PushConsumer, SimpleConsumer)

# Runtimes that start side by side on two cores take longer than the default of 3 s.
REQUEST_TIMEOUT_SECONDS = 10
AWAIT_SECONDS = 3
INVISIBLE_SECONDS = 10
BATCH = 32
# Between a receive that failed and the next one.
PAUSE_SECONDS = 0.1


class Events:
    """Writes one JSON event a line; safe to call from every thread of the client."""

    def __init__(self, out):
        self._out = out
        self._lock = threading.Lock()

    def write(self, event, **fields):
        line = json.dumps({"event": event, **fields}, ensure_ascii=False)
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()

    def received(self, message):
        fields = {"tag": message.tag} if message.tag else {}
        self.write("received", topic=message.topic, id=message.message_id, keys=sorted(message.keys),
                   properties=message.properties, body_base64=base64.b64encode(message.body).decode(),
                   attempt=message.delivery_attempt or 1, **fields)


def holds(hold, message):
    """Whether this delivery must not be acknowledged: the first one of a message with a held key."""
    attempt = message.delivery_attempt or 1
    return hold is not None and attempt == 1 and any(key.startswith(hold) for key in message.keys)


class Listener(MessageListener):
    """Reports every message and says that it was consumed, unless it is held."""

    def __init__(self, events, hold):
        self._events = events
        self._hold = hold

    def consume(self, message):
        self._events.received(message)
        if holds(self._hold, message):
            return ConsumeResult.FAILURE
        self._events.write("acked", keys=sorted(message.keys))
        return ConsumeResult.SUCCESS


class Driver:
    def __init__(self, endpoint, events):
        self._configuration = ClientConfiguration(endpoint, Credentials(), request_timeout=REQUEST_TIMEOUT_SECONDS)
        self._events = events
        self._producer = None
        self._consumer = None
        self._receive_loop = None
        self._receiving = False

    def carry_out(self, command):
        op = command["op"]
        if op == "producer.start":
            self._producer = Producer(self._configuration, command["topics"])
            self._producer.startup()
        elif op == "producer.stop":
            self._producer.shutdown()
        elif op == "send":
            self._send(command["topic"], command["keys"], base64.b64decode(command["body_base64"]),
                       command.get("tag"), command.get("properties", {}))
        elif op == "send_many":
            self._send_many(command)
        elif op == "consumer.start":
            self._start_consumer(command)
        elif op == "consumer.stop":
            self._stop_consumer()
        elif op != "exit":
            raise ValueError(f"unknown op {op}")

    def _send_many(self, command):
        with ThreadPoolExecutor(command["concurrency"]) as senders:
            for index in range(command["count"]):
                key = f"{command['prefix']}{index}"
                senders.submit(self._send, command["topic"], [key], key.encode(), None, {})

    def _send(self, topic, keys, body, tag, properties):
        try:
            message = Message()
            message.topic = topic
            message.body = body
            for key in keys:
                message.keys = key
            if tag:
                message.tag = tag
            for name, value in properties.items():
                message.add_property(name, value)
            receipt = self._producer.send(message)
            self._events.write("sent", key=keys[0], id=receipt.message_id)
        except Exception as reason:
            self._events.write("send_failed", key=keys[0], error=repr(reason))

    def _start_consumer(self, command):
        hold = command.get("hold")
        subscription = {command["topic"]: FilterExpression(command["tags"])}
        if command["kind"] == "push":
            listener = Listener(self._events, hold)
            self._consumer = PushConsumer(self._configuration, command["group"], listener, subscription)
            self._consumer.startup()
        elif command["kind"] == "simple":
            self._consumer = SimpleConsumer(self._configuration, command["group"], subscription, AWAIT_SECONDS)
            self._consumer.startup()
            self._receiving = True
            self._receive_loop = threading.Thread(target=self._receive, args=(hold,))
            self._receive_loop.start()
        else:
            raise ValueError(f"unknown consumer kind {command['kind']}")

    def _receive(self, hold):
        while self._receiving:
            try:
                for message in self._consumer.receive(BATCH, INVISIBLE_SECONDS):
                    self._events.received(message)
                    if not holds(hold, message):
                        self._acknowledge(message)
            except Exception as reason:
                self._events.write("warning", error=repr(reason))
                time.sleep(PAUSE_SECONDS)

    def _acknowledge(self, message):
        try:
            self._consumer.ack(message)
            self._events.write("acked", keys=sorted(message.keys))
        except Exception as reason:
            self._events.write("ack_failed", keys=sorted(message.keys), error=repr(reason))

    def _stop_consumer(self):
        if self._receive_loop:
            self._receiving = False
            self._receive_loop.join()
            self._receive_loop = None
        self._consumer.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True, metavar="HOST:PORT")
    arguments = parser.parse_args()
    events = Events(sys.stdout)
    # Whatever a library prints must not mix with the events.
    sys.stdout = sys.stderr
    driver = Driver(arguments.endpoint, events)
    events.write("ready")
    for line in sys.stdin:
        command = json.loads(line)
        try:
            driver.carry_out(command)
            events.write("done", command=command["command"])
        except Exception as reason:
            traceback.print_exc()
            events.write("failed", command=command["command"], error=repr(reason))
        if command["op"] == "exit":
            break
    # The client leaves threads behind that would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
