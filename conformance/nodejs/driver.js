// Drives the Node.js client (gRPC, plain text). The line protocol is in ../README.md.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { ConsumeResult, Producer, PushConsumer, SimpleConsumer } =
  createRequire(import.meta.url)('rocketmq-client-nodejs');

// Runtimes that start side by side on two cores take longer than the default of 3 s.
const REQUEST_TIMEOUT_MS = 10_000;
const AWAIT_MS = 3_000;
const INVISIBLE_MS = 10_000;
const BATCH = 32;
// Between a receive that failed and the next one.
const PAUSE_MS = 100;

const { values: { endpoint } } = parseArgs({ options: { endpoint: { type: 'string' } } });
if (!endpoint) {
  console.error('usage: driver.js --endpoint HOST:PORT');
  process.exit(2);
}

const connection = { endpoints: endpoint, namespace: '', requestTimeout: REQUEST_TIMEOUT_MS };

// Libraries that print must not mix with the events.
for (const method of [ 'log', 'info', 'debug' ]) console[method] = console.error;

function write(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

function received(message) {
  write('received', {
    topic: message.topic,
    id: message.messageId,
    keys: message.keys,
    tag: message.tag || undefined,
    properties: Object.fromEntries(message.properties),
    body_base64: message.body.toString('base64'),
    attempt: message.deliveryAttempt ?? 1,
  });
}

// Whether this delivery must not be acknowledged: the first one of a message with a held key.
function holds(hold, message) {
  return hold !== undefined && (message.deliveryAttempt ?? 1) === 1 && message.keys.some(key => key.startsWith(hold));
}

let producer;
let consumer;
let receiving = false;
let receiveLoop;

async function send({ topic, keys, tag, properties = {}, body }) {
  try {
    const receipt = await producer.send({ topic, keys, tag, body, properties: new Map(Object.entries(properties)) });
    write('sent', { key: keys[0], id: receipt.messageId });
  } catch (reason) {
    write('send_failed', { key: keys[0], error: String(reason) });
  }
}

async function sendMany({ topic, prefix, count, concurrency }) {
  let next = 0;
  const sender = async () => {
    while (next < count) {
      const key = `${prefix}${next++}`;
      await send({ topic, keys: [ key ], body: Buffer.from(key) });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sender));
}

async function startConsumer({ kind, topic, group, tags, hold }) {
  const common = { ...connection, consumerGroup: group, subscriptions: new Map([[ topic, tags ]]) };
  if (kind === 'push') {
    consumer = new PushConsumer({
      ...common,
      messageListener: {
        async consume(message) {
          received(message);
          if (holds(hold, message)) return ConsumeResult.FAILURE;
          write('acked', { keys: message.keys });
          return ConsumeResult.SUCCESS;
        },
      },
    });
    await consumer.startup();
  } else if (kind === 'simple') {
    consumer = new SimpleConsumer({ ...common, awaitDuration: AWAIT_MS });
    await consumer.startup();
    receiving = true;
    receiveLoop = receive(hold);
  } else {
    throw new Error(`unknown consumer kind ${kind}`);
  }
}

async function receive(hold) {
  while (receiving) {
    try {
      for (const message of await consumer.receive(BATCH, INVISIBLE_MS)) {
        received(message);
        if (!holds(hold, message)) await acknowledge(message);
      }
    } catch (reason) {
      write('warning', { error: String(reason) });
      await setTimeout(PAUSE_MS);
    }
  }
}

async function acknowledge(message) {
  try {
    await consumer.ack(message);
    write('acked', { keys: message.keys });
  } catch (reason) {
    write('ack_failed', { keys: message.keys, error: String(reason) });
  }
}

async function stopConsumer() {
  receiving = false;
  await receiveLoop;
  receiveLoop = undefined;
  await consumer.shutdown();
}

const operations = {
  'producer.start': async ({ topics }) => {
    producer = new Producer({ ...connection, topics });
    await producer.startup();
  },
  'producer.stop': () => producer.shutdown(),
  send: command => send({ ...command, body: Buffer.from(command.body_base64, 'base64') }),
  send_many: sendMany,
  'consumer.start': startConsumer,
  'consumer.stop': stopConsumer,
  exit: async () => {},
};

write('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    await operations[command.op](command);
    write('done', { command: command.command });
  } catch (reason) {
    console.error(reason);
    write('failed', { command: command.command, error: String(reason) });
  }
  if (command.op === 'exit') break;
}
// The client leaves timers behind that would keep the process alive; what was written must still leave.
process.stdout.write('', () => process.exit(0));
