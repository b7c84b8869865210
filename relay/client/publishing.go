package client

import "context"

// Publishing is a publish that is under way.
type Publishing struct {
	client *Client
	call   *call
}

// StartPublish is Publish, but does not wait: when it returns, the message has its place behind those of
// earlier calls, and is sent without waiting for their answers. Wait is to be called on what it returns.
// It takes attachments as PublishBinary does.
func (c *Client) StartPublish(room string, data any, id string, attachments ...[]byte) (*Publishing, error) {
	text, err := encodeData(data)
	if err != nil {
		return nil, err
	}
	if len(attachments) > 0 {
		if err := checkAttachments(text, attachments); err != nil {
			return nil, err
		}
	}
	q, err := c.newPublish(room, text, cloneEach(attachments), id)
	if err != nil {
		return nil, err
	}
	if err := c.queue(q); err != nil {
		return nil, err
	}
	return &Publishing{c, q}, nil
}

// Wait waits until the message is stored. Its error is as Publish's.
func (p *Publishing) Wait(ctx context.Context) (stored Published, err error) {
	err = p.client.await(ctx, p.call, &stored)
	return stored, err
}
