package cluster

import "testing"

// Where SETU_E2E_RELAY_IMAGE names an image, nothing else builds one.
func TestBuildRelayImage(t *testing.T) {
	t.Parallel()
	Require(t)
	image, err := buildRelayImage()
	if err != nil {
		t.Fatal(err)
	}
	again, err := buildRelayImage()
	if err != nil {
		t.Fatal(err)
	}
	if image != again {
		t.Errorf("built twice: %s, then %s", image, again)
	}
}
