// Drives the ONS client for Node.js (Remoting); the endpoint is the name server address. The line
// protocol is in ../README.md.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { Consumer, Message, Producer } = createRequire(import.meta.url)('ali-ons');

// Runtimes that start side by side on two cores take longer than the default of 3 s.
const SEND_TIMEOUT_MS = 10_000;
// The client does not hear that a group's members changed: it looks from time to time.
const LOOK_INTERVAL_MS = 2_000;

const { values: { endpoint } } = parseArgs({ options: { endpoint: { type: 'string' } } });
if (!endpoint) {
  console.error('usage: driver.js --endpoint HOST:PORT');
  process.exit(2);
}

// Libraries that print must not mix with the events.
for (const method of [ 'log', 'info', 'debug' ]) console[method] = console.error;

// Mandatory, but only for clients that ask an address server over HTTP.
const httpclient = {
  async request(url) {
    throw new Error(`no address server is asked here: ${url}`);
  },
};

function connection({ namespace = '', access_key, secret_key }) {
  return {
    httpclient,
    nameSrv: endpoint,
    namespace,
    accessKeyId: access_key,
    accessKeySecret: secret_key,
    sendMsgTimeout: SEND_TIMEOUT_MS,
    pollNameServerInteval: LOOK_INTERVAL_MS,
    rebalanceInterval: LOOK_INTERVAL_MS,
  };
}

function write(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

function warn(reason) {
  write('warning', { error: String(reason) });
}

const keysOf = message => message.keys?.split(' ') ?? [];
const attemptOf = message => message.reconsumeTimes + 1;

function received(message) {
  const properties = Object.entries(message.properties).filter(([ name, value ]) => name !== '' && value !== null);
  write('received', {
    topic: message.topic,
    id: message.msgId,
    keys: keysOf(message),
    tag: message.tags || undefined,
    properties: Object.fromEntries(properties),
    body_base64: (message.body ?? Buffer.alloc(0)).toString('base64'),
    attempt: attemptOf(message),
  });
}

// Whether this delivery must not be acknowledged.
function fails({ hold, fail }, message) {
  const named = prefix => prefix !== undefined && keysOf(message).some(key => key.startsWith(prefix));
  return named(fail) || (attemptOf(message) === 1 && named(hold));
}

function unsupported(what) {
  throw new Error(`unsupported: the client has no ${what}`);
}

let producer;
let consumer;

async function startProducer({ group, kind = 'normal', uncompressed = false, trace = false, ...session }) {
  if (kind !== 'normal') unsupported(`producer of kind ${kind}`);
  if (trace) unsupported('trace');
  producer = new Producer({
    ...connection(session),
    producerGroup: group,
    ...(uncompressed && { compressMsgBodyOverHowmuch: Infinity }),
  });
  producer.on('error', warn);
  await producer.ready();
}

function outgoing({ topic, keys, tag, properties = {}, body, sharding_key, delay_level, delay_ms, deliver_at_ms }) {
  const message = new Message(topic, tag, body);
  // Without a tag the client would send the word `undefined` as tag.
  if (tag === undefined) delete message.properties.TAGS;
  message.keys = keys;
  if (sharding_key !== undefined) message.shardingKey = sharding_key;
  if (delay_level !== undefined) message.delayTimeLevel = delay_level;
  if (delay_ms !== undefined) message.setStartDeliverTime(Date.now() + delay_ms);
  if (deliver_at_ms !== undefined) message.setStartDeliverTime(deliver_at_ms);
  Object.assign(message.properties, properties);
  return message;
}

async function send(command) {
  const key = command.keys[0];
  try {
    const result = await producer.send(outgoing(command));
    if (result.sendStatus !== 'SEND_OK') throw new Error(`send status ${result.sendStatus}`);
    write('sent', { key, id: result.msgId });
  } catch (reason) {
    write('send_failed', { key, error: String(reason) });
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

async function startConsumer(command) {
  const { kind, topic, group, tags, sql, model, max_attempts } = command;
  if (kind !== 'push') unsupported(`consumer of kind ${kind}`);
  if (command.ordered) unsupported('ordered listener');
  if (command.replies) unsupported('replies');
  if (command.trace) unsupported('trace');
  consumer = new Consumer({
    ...connection(command),
    consumerGroup: group,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    isBroadcast: model === 'broadcasting',
    ...(max_attempts !== undefined && { maxReconsumeTimes: max_attempts - 1 }),
  });
  consumer.on('error', warn);
  const filter = sql === undefined ? tags : { expressionType: 'SQL92', subString: sql };
  consumer.subscribe(topic, filter, async message => {
    received(message);
    // A retried message that is answered with ACTION_RETRY counts as consumed: the client drops that answer.
    if (fails(command, message)) throw new Error('not consumed, as asked for');
    write('acked', { keys: keysOf(message) });
  });
  await consumer.ready();
}

const operations = {
  'producer.start': startProducer,
  'producer.stop': () => producer.close(),
  send: command => send({ ...command, body: Buffer.from(command.body_base64, 'base64') }),
  send_many: sendMany,
  send_batch: () => unsupported('batches'),
  send_transaction: () => unsupported('transactions'),
  request: () => unsupported('requests'),
  recall: () => unsupported('recall'),
  'consumer.start': startConsumer,
  'consumer.seek': () => unsupported('consumer that polls'),
  'consumer.stop': () => consumer.close(),
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
// The client keeps a producer of its own that nobody can stop; what was written must still leave.
process.stdout.write('', () => process.exit(0));
