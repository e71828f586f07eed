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

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, LitePushConsumer,
                      Message, MessageListener, Producer, PushConsumer, SimpleConsumer, TransactionChecker,
                      TransactionResolution)
from rocketmq.grpc_protocol import FilterType
from rocketmq.v5.client.metrics import ClientMetrics

# Runtimes that start side by side on two cores take longer than the default of 3 s.
REQUEST_TIMEOUT_SECONDS = 10
AWAIT_SECONDS = 3
INVISIBLE_SECONDS = 10
BATCH = 32
# The library reports what it measures once a minute, and not when it stops.
ClientMetrics.METRIC_READER_INTERVAL = 1000
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
        if message.lite_topic:
            fields["lite_topic"] = message.lite_topic
        self.write("received", topic=message.topic, id=message.message_id, keys=sorted(message.keys),
                   properties=message.properties, body_base64=base64.b64encode(message.body).decode(),
                   attempt=message.delivery_attempt or 1, **fields)


class Unsupported(Exception):
    """The library has no such thing; see clients.rs for what each one lacks."""

    def __repr__(self):
        return f"unsupported: {self}"


def starts_with(prefix, message):
    return prefix is not None and any(key.startswith(prefix) for key in message.keys)


def fails(command, message, first=True):
    """Whether this delivery must not be acknowledged: the first of a held message, each of a failing one."""
    first = first and (message.delivery_attempt or 1) == 1
    return (first and starts_with(command.get("hold"), message)) or starts_with(command.get("fail"), message)


def invisible_ms(command, message):
    """The invisible duration that this message is to get, or none."""
    durations = command.get("invisible_ms", {}).items()
    return next((duration for prefix, duration in durations if starts_with(prefix, message)), None)


class Listener(MessageListener):
    """Reports every message and says that it was consumed, unless it is to fail."""

    def __init__(self, events, command):
        self._events = events
        self._command = command
        # What failed here: tried again in order, it does not say so.
        self._failed = set()

    def consume(self, message):
        self._events.received(message)
        if fails(self._command, message, message.message_id not in self._failed):
            self._failed.add(message.message_id)
            return ConsumeResult.FAILURE
        self._events.write("acked", keys=sorted(message.keys))
        return ConsumeResult.SUCCESS


class Checker(TransactionChecker):
    """Answers by the message alone."""

    ANSWERS = {"commit": TransactionResolution.COMMIT, "rollback": TransactionResolution.ROLLBACK}

    def __init__(self, events):
        self._events = events

    def check(self, message):
        self._events.write("transaction_checked", key=sorted(message.keys)[0])
        unknown = TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED
        return self.ANSWERS.get(message.properties.get("check"), unknown)


class Driver:
    def __init__(self, endpoint, events):
        self._endpoint = endpoint
        self._events = events
        self._producer = None
        self._consumer = None
        self._receive_loop = None
        self._receiving = False

    def carry_out(self, command):
        op = command["op"]
        if op == "producer.start":
            self._start_producer(command)
        elif op == "producer.stop":
            self._producer.shutdown()
        elif op == "send":
            self._send(command)
        elif op == "send_many":
            self._send_many(command)
        elif op == "send_transaction":
            self._send_transaction(command)
        elif op == "recall":
            self._producer.recall_message(command["topic"], command["recall_handle"])
        elif op == "consumer.start":
            self._start_consumer(command)
        elif op == "consumer.subscribe_lite":
            self._consumer.subscribe_lite(command["lite_topic"])
            # The library has just named each letter of it as a LiteTopic; this says what it means.
            self._consumer.subscribe_lite_all()
        elif op == "consumer.unsubscribe_lite":
            self._consumer.unsubscribe_lite(command["lite_topic"])
        elif op == "consumer.stop":
            self._stop_consumer()
        elif op != "exit":
            raise Unsupported(op)

    def _configuration(self, command):
        if command.get("trace"):
            raise Unsupported("trace")
        credentials = Credentials(command.get("access_key", ""), command.get("secret_key", ""))
        return ClientConfiguration(self._endpoint, credentials, command.get("namespace", ""), REQUEST_TIMEOUT_SECONDS)

    def _start_producer(self, command):
        checker = Checker(self._events) if command.get("kind") == "transaction" else None
        producer = Producer(self._configuration(command), command["topics"], checker)
        producer.startup()
        self._producer = producer

    def _send_many(self, command):
        with ThreadPoolExecutor(command["concurrency"]) as senders:
            for index in range(command["count"]):
                key = f"{command['prefix']}{index}"
                body = base64.b64encode(key.encode())
                message = {"topic": command["topic"], "keys": [key], "body_base64": body}
                if "sharding_key" in command:
                    message["sharding_key"] = command["sharding_key"].replace("#", str(index))
                senders.submit(self._send, message)

    def _send(self, command):
        try:
            self._sent(command, self._producer.send(self._message(command)))
        except Exception as reason:
            self._send_failed(command, reason)

    def _send_transaction(self, command):
        try:
            transaction = self._producer.begin_transaction()
            receipt = self._producer.send(self._message(command), transaction)
            if command["local"] == "commit":
                transaction.commit()
            elif command["local"] == "rollback":
                transaction.rollback()
            self._sent(command, receipt)
        except Exception as reason:
            self._send_failed(command, reason)

    def _sent(self, command, receipt):
        handle = {"recall_handle": receipt.recall_handle} if receipt.recall_handle else {}
        self._events.write("sent", key=command["keys"][0], id=receipt.message_id, **handle)

    def _send_failed(self, command, reason):
        if isinstance(reason, Unsupported):
            raise reason
        self._events.write("send_failed", key=command["keys"][0], error=repr(reason))

    @staticmethod
    def _message(command):
        if "delay_level" in command:
            raise Unsupported("delay levels")
        message = Message()
        message.topic = command["topic"]
        message.body = base64.b64decode(command["body_base64"])
        for key in command["keys"]:
            message.keys = key
        if "tag" in command:
            message.tag = command["tag"]
        if "sharding_key" in command:
            message.message_group = command["sharding_key"]
        deliver_at_ms = command.get("deliver_at_ms")
        if "delay_ms" in command:
            deliver_at_ms = time.time_ns() // 1_000_000 + command["delay_ms"]
        if deliver_at_ms is not None:
            # Seconds, although the documentation of the library says milliseconds.
            message.delivery_timestamp = -(-deliver_at_ms // 1000)
        if "priority" in command:
            message.priority = command["priority"]
        if "lite_topic" in command:
            message.lite_topic = command["lite_topic"]
        for name, value in command.get("properties", {}).items():
            message.add_property(name, value)
        return message

    def _start_consumer(self, command):
        if command.get("model") == "broadcasting" or command.get("replies"):
            raise Unsupported("this kind of consumer")
        expression = FilterExpression(command["tags"])
        if "sql" in command:
            expression = FilterExpression(command["sql"], FilterType.SQL)
        configuration, subscription = self._configuration(command), {command["topic"]: expression}
        if command.get("lite") and command["kind"] == "push":
            listener = Listener(self._events, command)
            consumer = LitePushConsumer(configuration, command["group"], command["topic"], listener)
            consumer.startup()
            self._consumer = consumer
        elif command.get("lite"):
            raise Unsupported(f"lite consumer of kind {command['kind']}")
        elif command["kind"] == "push":
            listener = Listener(self._events, command)
            consumer = PushConsumer(configuration, command["group"], listener, subscription)
            consumer.startup()
            self._consumer = consumer
        elif command["kind"] == "simple":
            consumer = SimpleConsumer(configuration, command["group"], subscription, AWAIT_SECONDS)
            consumer.startup()
            self._consumer = consumer
            self._receiving = True
            self._receive_loop = threading.Thread(target=self._receive, args=(command,))
            self._receive_loop.start()
        else:
            raise Unsupported(f"consumer kind {command['kind']}")

    def _receive(self, command):
        while self._receiving:
            try:
                for message in self._consumer.receive(BATCH, INVISIBLE_SECONDS):
                    self._events.received(message)
                    self._settle(command, message)
            except Exception as reason:
                self._events.write("warning", error=repr(reason))
                time.sleep(PAUSE_SECONDS)

    def _settle(self, command, message):
        try:
            duration_ms = invisible_ms(command, message)
            if duration_ms is not None:
                self._consumer.change_invisible_duration(message, duration_ms // 1000)
            if not fails(command, message):
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
