"""Drives the ONS HTTP client for Python. The line protocol is in ../README.md."""

import argparse
import base64
import json
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from mq_http_sdk.mq_client import MQClient
from mq_http_sdk.mq_exception import MQServerException
from mq_http_sdk.mq_producer import TopicMessage

AWAIT_SECONDS = 3
BATCH = 16
# Between a receive that failed and the next one.
PAUSE_SECONDS = 0.1
# Before a half message is asked about; its own end comes sooner.
CHECK_SECONDS = 3


class Events:
    """Writes one JSON event a line; safe to call from every thread."""

    def __init__(self, out):
        self._out = out
        self._lock = threading.Lock()

    def write(self, event, **fields):
        line = json.dumps({"event": event, **fields}, ensure_ascii=False)
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()

    def received(self, topic, message):
        fields = {"tag": message.message_tag} if message.message_tag else {}
        body = base64.b64encode(message.message_body.encode()).decode()
        self.write("received", topic=topic, id=message.message_id, keys=keys_of(message),
                   properties=message.properties, body_base64=body,
                   attempt=message.consumed_times, **fields)


class Unsupported(Exception):
    """The library has no such thing; see clients.rs for what each one lacks."""

    def __repr__(self):
        return f"unsupported: {self}"


def keys_of(message):
    return message.get_message_key().split(" ")


def fails(command, message):
    """Whether this delivery must not be acknowledged: the first of a held message, each of a failing one."""
    def starts_with(prefix):
        return prefix is not None and any(key.startswith(prefix) for key in keys_of(message))
    held = message.consumed_times == 1 and starts_with(command.get("hold"))
    return held or starts_with(command.get("fail"))


def has_nothing(reason):
    return isinstance(reason, MQServerException) and reason.type == "MessageNotExist"


class Clients:
    """A client of the library has one connection: each thread needs one of its own."""

    def __init__(self, endpoint, command):
        if command.get("trace"):
            raise Unsupported("trace")
        self._endpoint = f"http://{endpoint}"
        self._keys = command.get("access_key", "any"), command.get("secret_key", "any")
        self.instance = command.get("namespace", "")
        self._own = threading.local()

    def mine(self):
        if not hasattr(self._own, "client"):
            self._own.client = MQClient(self._endpoint, *self._keys)
        return self._own.client


class Loop:
    """Does something again and again until it is stopped."""

    def __init__(self, events, step):
        self._events = events
        self._step = step
        self._running = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while self._running:
            try:
                self._step()
            except Exception as reason:
                if not has_nothing(reason):
                    self._events.write("warning", error=repr(reason))
                    time.sleep(PAUSE_SECONDS)

    def stop(self):
        self._running = False
        self._thread.join()


class Driver:
    def __init__(self, endpoint, events):
        self._endpoint = endpoint
        self._events = events
        self._producing = None
        self._group = None
        self._checks = None
        self._receives = None

    def carry_out(self, command):
        op = command["op"]
        if op == "producer.start":
            self._start_producer(command)
        elif op == "producer.stop":
            self._stop_producer()
        elif op == "send":
            self._send(command)
        elif op == "send_many":
            self._send_many(command)
        elif op == "send_transaction":
            self._send_transaction(command)
        elif op == "consumer.start":
            self._start_consumer(command)
        elif op == "consumer.stop":
            self._receives.stop()
        elif op != "exit":
            raise Unsupported(op)

    def _start_producer(self, command):
        self._producing = Clients(self._endpoint, command)
        self._group = command["group"]
        if command.get("kind") == "transaction":
            topic = command["topics"][0]
            self._checks = Loop(self._events, lambda: self._check(topic))

    def _stop_producer(self):
        if self._checks:
            self._checks.stop()
            self._checks = None

    def _transactions(self, topic):
        clients = self._producing
        return clients.mine().get_trans_producer(clients.instance, topic, self._group)

    def _check(self, topic):
        producer = self._transactions(topic)
        for half in producer.consume_half_message(BATCH, AWAIT_SECONDS):
            self._events.write("transaction_checked", key=keys_of(half)[0])
            answer = half.get_property("check")
            if answer == "commit":
                producer.commit(half.receipt_handle)
            elif answer == "rollback":
                producer.rollback(half.receipt_handle)

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
        clients = self._producing
        self._report(command, lambda message: clients.mine().get_producer(
            clients.instance, command["topic"]).publish_message(message))

    def _send_transaction(self, command):
        producer = self._transactions(command["topic"])

        def send(message):
            message.set_trans_check_immunity_time(CHECK_SECONDS)
            sent = producer.publish_message(message)
            if command["local"] == "commit":
                producer.commit(sent.receipt_handle)
            elif command["local"] == "rollback":
                producer.rollback(sent.receipt_handle)
            return sent

        self._report(command, send)

    def _report(self, command, send):
        message = self._message(command)
        try:
            self._events.write("sent", key=command["keys"][0], id=send(message).message_id)
        except Exception as reason:
            error = f"{type(reason).__name__}: {reason}"
            self._events.write("send_failed", key=command["keys"][0], error=error)

    @staticmethod
    def _message(command):
        for field in ["delay_level", "priority", "lite_topic"]:
            if field in command:
                raise Unsupported(field)
        message = TopicMessage(base64.b64decode(command["body_base64"]).decode(), command.get("tag", ""))
        message.set_message_key(" ".join(command["keys"]))
        if "sharding_key" in command:
            message.set_sharding_key(command["sharding_key"])
        if "delay_ms" in command:
            message.set_start_deliver_time(time.time_ns() // 1_000_000 + command["delay_ms"])
        if "deliver_at_ms" in command:
            message.set_start_deliver_time(command["deliver_at_ms"])
        for name, value in command.get("properties", {}).items():
            message.put_property(name, value)
        return message

    def _start_consumer(self, command):
        if command["kind"] != "simple":
            raise Unsupported(f"consumer kind {command['kind']}")
        if command.get("model") == "broadcasting" or command.get("replies"):
            raise Unsupported("this kind of consumer")
        if "sql" in command or command.get("invisible_ms"):
            raise Unsupported("SQL92 filters and invisible durations")
        clients, topic = Clients(self._endpoint, command), command["topic"]

        def receive():
            consumer = clients.mine().get_consumer(clients.instance, topic, command["group"], command["tags"])
            take = consumer.consume_message_orderly if command.get("ordered") else consumer.consume_message
            for message in take(BATCH, AWAIT_SECONDS):
                self._events.received(topic, message)
                if not fails(command, message):
                    self._ack(consumer, message)

        self._receives = Loop(self._events, receive)

    def _ack(self, consumer, message):
        try:
            consumer.ack_message([message.receipt_handle])
            self._events.write("acked", keys=keys_of(message))
        except Exception as reason:
            error = f"{type(reason).__name__}: {reason}"
            self._events.write("ack_failed", keys=keys_of(message), error=error)


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
    # A loop that nobody stopped would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
