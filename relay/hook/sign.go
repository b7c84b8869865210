package hook

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"setu/relay/auth"
)

// signer writes the headers of Standard Webhooks.
type signer []*webhooks.Webhook

func newSigner(secrets []auth.Secret) (signer, error) {
	var out signer
	for _, s := range secrets {
		w, err := webhooks.NewWebhook(string(s))
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// sign says in h what is sent, when, and that it is from here: by every secret, so that an app which knows
// one of them takes it.
func (s signer) sign(h http.Header, id string, now time.Time, body []byte) error {
	h.Set(webhooks.HeaderWebhookID, id)
	h.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	var all []string
	for _, w := range s {
		one, err := w.Sign(id, now, body)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	if len(all) > 0 {
		h.Set(webhooks.HeaderWebhookSignature, strings.Join(all, " "))
	}
	return nil
}
