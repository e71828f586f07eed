// Drives the Node.js client (gRPC, plain text). The line protocol is in ../README.md.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { ConsumeResult, FilterExpression, LitePushConsumerBuilder, Producer, PushConsumer, SimpleConsumer } = require('rocketmq-client-nodejs');
// The library takes these enumerations but does not export them.
const { FilterType, TransactionResolution } =
  require('rocketmq-client-nodejs/proto/apache/rocketmq/v2/definition_pb');

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

// The library has no such thing; see clients.rs for what each one lacks.
class Unsupported extends Error {
  toString() {
    return `unsupported: ${this.message}`;
  }
}

function connection({ namespace = '', access_key: accessKey, secret_key: accessSecret, trace }) {
  if (trace) throw new Unsupported('trace');
  const sessionCredentials = accessKey === undefined ? undefined : { accessKey, accessSecret };
  return { endpoints: endpoint, namespace, requestTimeout: REQUEST_TIMEOUT_MS, sessionCredentials };
}

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
    lite_topic: message.liteTopic || undefined,
  });
}

function startsWith(prefix, message) {
  return prefix !== undefined && message.keys.some(key => key.startsWith(prefix));
}

// Whether this delivery must not be acknowledged: the first of a held message, each of a failing one.
function fails({ hold, fail }, message) {
  return ((message.deliveryAttempt ?? 1) === 1 && startsWith(hold, message)) || startsWith(fail, message);
}

// The invisible duration that this message is to get, or none.
function invisibleMs({ invisible_ms: durations = {} }, message) {
  return Object.entries(durations).find(([ prefix ]) => startsWith(prefix, message))?.[1];
}

let producer;
let consumer;
let receiving = false;
let receiveLoop;

const answers = { commit: TransactionResolution.COMMIT, rollback: TransactionResolution.ROLLBACK };

// Answers by the message alone.
const checker = {
  async check(message) {
    write('transaction_checked', { key: message.keys[0] });
    return answers[message.properties.get('check')] ?? TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED;
  },
};

async function startProducer(command) {
  const started = new Producer({
    ...connection(command),
    topics: command.topics,
    checker: command.kind === 'transaction' ? checker : undefined,
  });
  await started.startup();
  producer = started;
}

function deliveryTimestamp({ delay_ms: delayMs, deliver_at_ms: deliverAtMs }) {
  if (delayMs !== undefined) return new Date(Date.now() + delayMs);
  return deliverAtMs === undefined ? undefined : new Date(deliverAtMs);
}

function message(command) {
  if (command.delay_level !== undefined) throw new Unsupported('delay levels');
  const { topic, keys, tag, properties = {}, sharding_key: messageGroup, body_base64: body, priority } = command;
  return {
    topic,
    keys,
    tag,
    messageGroup,
    priority,
    liteTopic: command.lite_topic,
    body: Buffer.from(body, 'base64'),
    properties: new Map(Object.entries(properties)),
    deliveryTimestamp: deliveryTimestamp(command),
  };
}

// A failure of the message is an event; that the library has no such thing is one of the command.
async function report({ keys: [ key ] }, sending) {
  try {
    const receipt = await sending();
    write('sent', { key, id: receipt.messageId, recall_handle: receipt.recallHandle || undefined });
  } catch (reason) {
    if (reason instanceof Unsupported) throw reason;
    write('send_failed', { key, error: String(reason) });
  }
}

function send(command) {
  return report(command, () => producer.send(message(command)));
}

function sendTransaction(command) {
  return report(command, async () => {
    const transaction = producer.beginTransaction();
    const receipt = await producer.send(message(command), transaction);
    if (command.local === 'commit') await transaction.commit();
    if (command.local === 'rollback') await transaction.rollback();
    return receipt;
  });
}

async function sendMany({ topic, prefix, count, concurrency, sharding_key }) {
  let next = 0;
  const sender = async () => {
    while (next < count) {
      const number = next++;
      const key = `${prefix}${number}`;
      const shard = sharding_key?.replace('#', number);
      await send({ topic, keys: [ key ], sharding_key: shard, body_base64: Buffer.from(key).toString('base64') });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sender));
}

async function startConsumer(command) {
  const { kind, topic, group, tags, sql, model, ordered = false, lite = false, replies } = command;
  if (model === 'broadcasting' || replies) throw new Unsupported('this kind of consumer');
  const expression = sql === undefined ? tags : new FilterExpression(sql, FilterType.SQL);
  const common = { ...connection(command), consumerGroup: group, subscriptions: new Map([[ topic, expression ]]) };
  const messageListener = {
    async consume(message) {
      received(message);
      if (fails(command, message)) return ConsumeResult.FAILURE;
      write('acked', { keys: message.keys });
      return ConsumeResult.SUCCESS;
    },
  };
  if (lite) {
    if (kind !== 'push') throw new Unsupported(`lite consumer of kind ${kind}`);
    consumer = await new LitePushConsumerBuilder()
      .setClientConfiguration(connection(command))
      .setConsumerGroup(group)
      .bindTopic(topic)
      .setMessageListener(messageListener)
      .build();
  } else if (kind === 'push') {
    const started = new PushConsumer({ ...common, enableFifoConsumeAccelerator: ordered, messageListener });
    await started.startup();
    consumer = started;
  } else if (kind === 'simple') {
    const started = new SimpleConsumer({ ...common, awaitDuration: AWAIT_MS });
    await started.startup();
    consumer = started;
    receiving = true;
    receiveLoop = receive(command);
  } else {
    throw new Unsupported(`consumer kind ${kind}`);
  }
}

async function receive(command) {
  while (receiving) {
    try {
      for (const message of await consumer.receive(BATCH, INVISIBLE_MS)) {
        received(message);
        await settle(command, message);
      }
    } catch (reason) {
      write('warning', { error: String(reason) });
      await setTimeout(PAUSE_MS);
    }
  }
}

async function settle(command, message) {
  try {
    const durationMs = invisibleMs(command, message);
    if (durationMs !== undefined) await consumer.changeInvisibleDuration(message, durationMs);
    if (fails(command, message)) return;
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
  await (consumer.close ?? consumer.shutdown).call(consumer);
}

// When it starts, the library says that it subscribes to nothing, and does not wait for the answer: a
// subscription that is on its way meanwhile may be overtaken and so undone, for 30 s. Said once more,
// after both, it stands.
async function subscribeLite({ lite_topic: liteTopic }) {
  await consumer.subscribeLite(liteTopic);
  await consumer.liteSubscriptionManager.syncAllLiteSubscription();
}

const operations = {
  'producer.start': startProducer,
  'producer.stop': () => producer.shutdown(),
  send,
  send_transaction: sendTransaction,
  recall: ({ topic, recall_handle: handle }) => producer.recallMessage(topic, handle),
  send_many: sendMany,
  'consumer.start': startConsumer,
  'consumer.subscribe_lite': subscribeLite,
  'consumer.unsubscribe_lite': ({ lite_topic: liteTopic }) => consumer.unsubscribeLite(liteTopic),
  'consumer.stop': stopConsumer,
  exit: async () => {},
};

write('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    if (!operations[command.op]) throw new Unsupported(command.op);
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
