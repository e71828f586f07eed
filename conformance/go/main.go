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
	Command     int               `json:"command"`
	Op          string            `json:"op"`
	Group       string            `json:"group"`
	Topic       string            `json:"topic"`
	Topics      []string          `json:"topics"`
	Keys        []string          `json:"keys"`
	Tag         string            `json:"tag"`
	Properties  map[string]string `json:"properties"`
	Body        []byte            `json:"body_base64"`
	Prefix      string            `json:"prefix"`
	Count       int               `json:"count"`
	Concurrency int               `json:"concurrency"`
	Kind        string            `json:"kind"`
	Tags        string            `json:"tags"`
	Hold        string            `json:"hold"`
}

// holds tells whether this delivery must not be acknowledged: the first one of a message with a held key.
func (c *command) holds(message *rocketmq.MessageView) bool {
	return c.Hold != "" && message.GetDeliveryAttempt() <= 1 &&
		slices.ContainsFunc(message.GetKeys(), func(key string) bool { return strings.HasPrefix(key, c.Hold) })
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

func (d *driver) configuration(group string) *rocketmq.Config {
	return &rocketmq.Config{
		Endpoint:      d.endpoint,
		ConsumerGroup: group,
		Credentials:   &credentials.SessionCredentials{},
	}
}

func (d *driver) carryOut(c command) error {
	switch c.Op {
	case "producer.start":
		producer, err := rocketmq.NewProducer(d.configuration(""), rocketmq.WithTopics(c.Topics...))
		if err != nil {
			return err
		}
		d.producer = producer
		return producer.Start()
	case "producer.stop":
		return d.producer.GracefulStop()
	case "send":
		d.send(c)
		return nil
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
	return fmt.Errorf("unknown op %s", c.Op)
}

func (d *driver) sendMany(c command) {
	indexes := make(chan int)
	var senders sync.WaitGroup
	for range c.Concurrency {
		senders.Go(func() {
			for index := range indexes {
				key := fmt.Sprintf("%s%d", c.Prefix, index)
				d.send(command{Topic: c.Topic, Keys: []string{key}, Body: []byte(key)})
			}
		})
	}
	for index := range c.Count {
		indexes <- index
	}
	close(indexes)
	senders.Wait()
}

func (d *driver) send(c command) {
	message := &rocketmq.Message{Topic: c.Topic, Body: c.Body}
	message.SetKeys(c.Keys...)
	if c.Tag != "" {
		message.SetTag(c.Tag)
	}
	for name, value := range c.Properties {
		message.AddProperty(name, value)
	}
	receipts, err := d.producer.Send(context.Background(), message)
	if err != nil {
		d.events.write("send_failed", fields{"key": c.Keys[0], "error": err.Error()})
		return
	}
	d.events.write("sent", fields{"key": c.Keys[0], "id": receipts[0].MessageID})
}

func (d *driver) startConsumer(c command) error {
	subscription := map[string]*rocketmq.FilterExpression{c.Topic: rocketmq.NewFilterExpression(c.Tags)}
	switch c.Kind {
	case "push":
		listener := &rocketmq.FuncMessageListener{Consume: func(message *rocketmq.MessageView) rocketmq.ConsumerResult {
			d.events.received(message)
			if c.holds(message) {
				return rocketmq.FAILURE
			}
			d.events.write("acked", fields{"keys": message.GetKeys()})
			return rocketmq.SUCCESS
		}}
		push, err := rocketmq.NewPushConsumer(d.configuration(c.Group),
			rocketmq.WithPushAwaitDuration(await),
			rocketmq.WithPushSubscriptionExpressions(subscription),
			rocketmq.WithPushMessageListener(listener),
			rocketmq.WithPushConsumptionThreadCount(20),
			rocketmq.WithPushMaxCacheMessageCount(1024))
		if err != nil {
			return err
		}
		d.consumer = push
		return push.Start()
	case "simple":
		simple, err := rocketmq.NewSimpleConsumer(d.configuration(c.Group),
			rocketmq.WithSimpleAwaitDuration(await),
			rocketmq.WithSimpleSubscriptionExpressions(subscription))
		if err != nil {
			return err
		}
		d.consumer = simple
		if err := simple.Start(); err != nil {
			return err
		}
		d.stop, d.stopped = make(chan struct{}), make(chan struct{})
		go d.receive(simple, c)
		return nil
	}
	return fmt.Errorf("unknown consumer kind %s", c.Kind)
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
			if c.holds(message) {
				continue
			}
			if err := simple.Ack(context.Background(), message); err != nil {
				d.events.write("ack_failed", fields{"keys": message.GetKeys(), "error": err.Error()})
			} else {
				d.events.write("acked", fields{"keys": message.GetKeys()})
			}
		}
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
