// Command driver drives the Go client, with its default of TLS and any certificate.
// The line protocol is in ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

const (
	await     = 3 * time.Second
	invisible = 10 * time.Second
	batch     = 32
	// pause is between a receive that failed and the next one.
	pause = 100 * time.Millisecond
)

type fields map[string]any

type command struct {
	Command      int               `json:"command"`
	Op           string            `json:"op"`
	Group        string            `json:"group"`
	Topic        string            `json:"topic"`
	Topics       []string          `json:"topics"`
	Keys         []string          `json:"keys"`
	Tag          string            `json:"tag"`
	Properties   map[string]string `json:"properties"`
	Body         []byte            `json:"body_base64"`
	ShardingKey  string            `json:"sharding_key"`
	DelayLevel   int               `json:"delay_level"`
	DelayMs      int64             `json:"delay_ms"`
	DeliverAtMs  int64             `json:"deliver_at_ms"`
	Priority     *int32            `json:"priority"`
	LiteTopic    string            `json:"lite_topic"`
	Local        string            `json:"local"`
	RecallHandle string            `json:"recall_handle"`
	Prefix       string            `json:"prefix"`
	Count        int               `json:"count"`
	Concurrency  int               `json:"concurrency"`
	Kind         string            `json:"kind"`
	Tags         string            `json:"tags"`
	SQL          string            `json:"sql"`
	Model        string            `json:"model"`
	Ordered      bool              `json:"ordered"`
	Replies      bool              `json:"replies"`
	Hold         string            `json:"hold"`
	Fail         string            `json:"fail"`
	InvisibleMs  map[string]int64  `json:"invisible_ms"`
	Namespace    string            `json:"namespace"`
	AccessKey    string            `json:"access_key"`
	SecretKey    string            `json:"secret_key"`
	Trace        bool              `json:"trace"`
}

// unsupported says that the library has no such thing; see clients.rs for what each one lacks.
type unsupported string

func (u unsupported) Error() string { return "unsupported: " + string(u) }

func startsWith(prefix string, message *rocketmq.MessageView) bool {
	return prefix != "" &&
		slices.ContainsFunc(message.GetKeys(), func(key string) bool { return strings.HasPrefix(key, prefix) })
}

// fails tells whether this delivery must not be acknowledged: the first of a held message, each of a failing one.
func (c *command) fails(message *rocketmq.MessageView) bool {
	return (message.GetDeliveryAttempt() <= 1 && startsWith(c.Hold, message)) || startsWith(c.Fail, message)
}

// invisible is the invisible duration that this message is to get, if any.
func (c *command) invisible(message *rocketmq.MessageView) (time.Duration, bool) {
	for prefix, ms := range c.InvisibleMs {
		if startsWith(prefix, message) {
			return time.Duration(ms) * time.Millisecond, true
		}
	}
	return 0, false
}

// configuration is that of a client in the session of this command.
func (c *command) configuration(endpoint string) (*rocketmq.Config, error) {
	if c.Trace {
		return nil, unsupported("trace")
	}
	return &rocketmq.Config{
		Endpoint:      endpoint,
		NameSpace:     c.Namespace,
		ConsumerGroup: c.Group,
		Credentials:   &credentials.SessionCredentials{AccessKey: c.AccessKey, AccessSecret: c.SecretKey},
	}, nil
}

func (c *command) message() (*rocketmq.Message, error) {
	if c.DelayLevel != 0 {
		return nil, unsupported("delay levels")
	}
	message := &rocketmq.Message{Topic: c.Topic, Body: c.Body}
	message.SetKeys(c.Keys...)
	if c.Tag != "" {
		message.SetTag(c.Tag)
	}
	if c.ShardingKey != "" {
		message.SetMessageGroup(c.ShardingKey)
	}
	if c.DelayMs != 0 {
		message.SetDelayTimestamp(time.Now().Add(time.Duration(c.DelayMs) * time.Millisecond))
	}
	if c.DeliverAtMs != 0 {
		message.SetDelayTimestamp(time.UnixMilli(c.DeliverAtMs))
	}
	if c.Priority != nil {
		message.SetPriority(*c.Priority)
	}
	if c.LiteTopic != "" {
		message.SetLiteTopic(c.LiteTopic)
	}
	for name, value := range c.Properties {
		message.AddProperty(name, value)
	}
	return message, nil
}

// events writes one JSON event a line; safe to call from every goroutine of the client.
type events struct {
	mutex sync.Mutex
	out   *os.File
}

func (e *events) write(event string, more fields) {
	line := fields{"event": event}
	for name, value := range more {
		line[name] = value
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if _, err := e.out.Write(append(encoded, '\n')); err != nil {
		os.Exit(1)
	}
}

func (e *events) received(message *rocketmq.MessageView) {
	more := fields{
		"topic":       message.GetTopic(),
		"id":          message.GetMessageId(),
		"keys":        message.GetKeys(),
		"properties":  message.GetProperties(),
		"body_base64": message.GetBody(),
		"attempt":     message.GetDeliveryAttempt(),
	}
	if message.GetProperties() == nil {
		more["properties"] = fields{}
	}
	if tag := message.GetTag(); tag != nil {
		more["tag"] = *tag
	}
	e.write("received", more)
}

type consumer interface {
	Start() error
	GracefulStop() error
}

type driver struct {
	endpoint string
	events   *events
	producer rocketmq.Producer
	consumer consumer
	stop     chan struct{}
	stopped  chan struct{}
}

func (d *driver) carryOut(c command) error {
	switch c.Op {
	case "producer.start":
		return d.startProducer(c)
	case "producer.stop":
		return d.producer.GracefulStop()
	case "send":
		return d.send(c)
	case "send_transaction":
		return d.sendTransaction(c)
	case "recall":
		_, err := d.producer.Recall(context.Background(), c.Topic, c.RecallHandle)
		return err
	case "send_many":
		d.sendMany(c)
		return nil
	case "consumer.start":
		return d.startConsumer(c)
	case "consumer.stop":
		return d.stopConsumer()
	case "exit":
		return nil
	}
	return unsupported(c.Op)
}

func (d *driver) sendMany(c command) {
	indexes := make(chan int)
	var senders sync.WaitGroup
	for range c.Concurrency {
		senders.Go(func() {
			for index := range indexes {
				key := fmt.Sprintf("%s%d", c.Prefix, index)
				// A message of these parts is one that the library has.
				shard := strings.ReplaceAll(c.ShardingKey, "#", fmt.Sprint(index))
				_ = d.send(command{Topic: c.Topic, Keys: []string{key}, Body: []byte(key), ShardingKey: shard})
			}
		})
	}
	for index := range c.Count {
		indexes <- index
	}
	close(indexes)
	senders.Wait()
}

func (d *driver) startProducer(c command) error {
	// The library takes the group of a producer's configuration for nothing.
	c.Group = ""
	configuration, err := c.configuration(d.endpoint)
	if err != nil {
		return err
	}
	options := []rocketmq.ProducerOption{rocketmq.WithTopics(c.Topics...)}
	if c.Kind == "transaction" {
		options = append(options, rocketmq.WithTransactionChecker(&rocketmq.TransactionChecker{Check: d.check}))
	}
	producer, err := rocketmq.NewProducer(configuration, options...)
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	d.producer = producer
	return nil
}

// check answers by the message alone.
func (d *driver) check(message *rocketmq.MessageView) rocketmq.TransactionResolution {
	d.events.write("transaction_checked", fields{"key": message.GetKeys()[0]})
	switch message.GetProperties()["check"] {
	case "commit":
		return rocketmq.COMMIT
	case "rollback":
		return rocketmq.ROLLBACK
	}
	return rocketmq.UNKNOWN
}

// send reports a failure of the message as an event; only that the library has no such message is an error.
func (d *driver) send(c command) error {
	message, err := c.message()
	if err != nil {
		return err
	}
	receipts, err := d.producer.Send(context.Background(), message)
	d.report(c, receipts, err)
	return nil
}

func (d *driver) sendTransaction(c command) error {
	message, err := c.message()
	if err != nil {
		return err
	}
	transaction := d.producer.BeginTransaction()
	receipts, err := d.producer.SendWithTransaction(context.Background(), message, transaction)
	if err == nil && c.Local == "commit" {
		err = transaction.Commit()
	}
	if err == nil && c.Local == "rollback" {
		err = transaction.RollBack()
	}
	d.report(c, receipts, err)
	return nil
}

func (d *driver) report(c command, receipts []*rocketmq.SendReceipt, err error) {
	if err != nil {
		d.events.write("send_failed", fields{"key": c.Keys[0], "error": err.Error()})
		return
	}
	more := fields{"key": c.Keys[0], "id": receipts[0].MessageID}
	if handle := receipts[0].RecallHandle; handle != "" {
		more["recall_handle"] = handle
	}
	d.events.write("sent", more)
}

func (d *driver) startConsumer(c command) error {
	if c.Model == "broadcasting" || c.Replies {
		return unsupported("this kind of consumer")
	}
	expression := rocketmq.NewFilterExpression(c.Tags)
	if c.SQL != "" {
		expression = rocketmq.NewFilterExpressionWithType(c.SQL, rocketmq.SQL92)
	}
	subscription := map[string]*rocketmq.FilterExpression{c.Topic: expression}
	configuration, err := c.configuration(d.endpoint)
	if err != nil {
		return err
	}
	switch c.Kind {
	case "push":
		listener := &rocketmq.FuncMessageListener{Consume: func(message *rocketmq.MessageView) rocketmq.ConsumerResult {
			d.events.received(message)
			if c.fails(message) {
				return rocketmq.FAILURE
			}
			d.events.write("acked", fields{"keys": message.GetKeys()})
			return rocketmq.SUCCESS
		}}
		push, err := rocketmq.NewPushConsumer(configuration,
			rocketmq.WithPushAwaitDuration(await),
			rocketmq.WithPushSubscriptionExpressions(subscription),
			rocketmq.WithPushMessageListener(listener),
			rocketmq.WithPushEnableFifoConsumeAccelerator(c.Ordered),
			rocketmq.WithPushConsumptionThreadCount(20),
			rocketmq.WithPushMaxCacheMessageCount(1024))
		if err != nil {
			return err
		}
		if err := push.Start(); err != nil {
			return err
		}
		d.consumer = push
		return nil
	case "simple":
		simple, err := rocketmq.NewSimpleConsumer(configuration,
			rocketmq.WithSimpleAwaitDuration(await),
			rocketmq.WithSimpleSubscriptionExpressions(subscription))
		if err != nil {
			return err
		}
		if err := simple.Start(); err != nil {
			return err
		}
		d.consumer = simple
		d.stop, d.stopped = make(chan struct{}), make(chan struct{})
		go d.receive(simple, c)
		return nil
	}
	return unsupported("consumer kind " + c.Kind)
}

func (d *driver) receive(simple rocketmq.SimpleConsumer, c command) {
	defer close(d.stopped)
	for {
		select {
		case <-d.stop:
			return
		default:
		}
		messages, err := simple.Receive(context.Background(), batch, invisible)
		if err != nil {
			d.events.write("warning", fields{"error": err.Error()})
			time.Sleep(pause)
		}
		for _, message := range messages {
			d.events.received(message)
			d.settle(simple, c, message)
		}
	}
}

func (d *driver) settle(simple rocketmq.SimpleConsumer, c command, message *rocketmq.MessageView) {
	var err error
	if duration, changes := c.invisible(message); changes {
		err = simple.ChangeInvisibleDuration(message, duration)
	}
	if err == nil && c.fails(message) {
		return
	}
	if err == nil {
		err = simple.Ack(context.Background(), message)
	}
	if err != nil {
		d.events.write("ack_failed", fields{"keys": message.GetKeys(), "error": err.Error()})
	} else {
		d.events.write("acked", fields{"keys": message.GetKeys()})
	}
}

func (d *driver) stopConsumer() error {
	if d.stop != nil {
		close(d.stop)
		<-d.stopped
		d.stop = nil
	}
	return d.consumer.GracefulStop()
}

func main() {
	endpoint := flag.String("endpoint", "", "HOST:PORT")
	flag.Parse()
	events := &events{out: os.Stdout}
	// Whatever a library prints must not mix with the events.
	os.Stdout = os.Stderr
	d := &driver{endpoint: *endpoint, events: events}
	events.write("ready", nil)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := d.carryOut(c); err != nil {
			events.write("failed", fields{"command": c.Command, "error": err.Error()})
		} else {
			events.write("done", fields{"command": c.Command})
		}
		if c.Op == "exit" {
			break
		}
	}
}
