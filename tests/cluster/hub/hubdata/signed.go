package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"sort"
)

// signerKey is the private key of the signed repositories: the number 0x0101…01 on P-256. It vouches for nothing outside
// the tests, which hold its public half.
func signerKey() *ecdsa.PrivateKey {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = 1
	}
	key := &ecdsa.PrivateKey{D: new(big.Int).SetBytes(seed)}
	key.Curve = elliptic.P256()
	key.X, key.Y = key.Curve.ScalarBaseMult(seed)
	return key
}

type resource struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
}

// modelSignature is model.sig for files by their names, as OpenSSF Model Signing v1 has it.
func modelSignature(files map[string][]byte) ([]byte, error) {
	const payloadType = "application/vnd.in-toto+json"
	resources, root := []resource{}, sha256.New()
	for name, bytes := range files {
		digest := sha256.Sum256(bytes)
		resources = append(resources, resource{name, "sha256", hex.EncodeToString(digest[:])})
	}
	sort.Slice(resources, func(i, j int) bool { return resources[i].Name < resources[j].Name })
	for _, resource := range resources {
		digest := sha256.Sum256(files[resource.Name])
		root.Write(digest[:])
	}
	payload, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "m", "digest": map[string]string{"sha256": hex.EncodeToString(root.Sum(nil))}}},
		"predicateType": "https://model_signing/signature/v1.0",
		"predicate": map[string]any{
			"serialization": map[string]any{"method": "files", "hash_type": "sha256", "allow_symlinks": false},
			"resources":     resources,
		},
	})
	if err != nil {
		return nil, err
	}
	signed := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload))
	signature, err := ecdsa.SignASN1(rand.Reader, signerKey(), signed[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{"publicKey": map[string]string{}, "tlogEntries": []any{}},
		"dsseEnvelope": map[string]any{
			"payload":     base64.StdEncoding.EncodeToString(payload),
			"payloadType": payloadType,
			"signatures":  []any{map[string]string{"sig": base64.StdEncoding.EncodeToString(signature), "keyid": ""}},
		},
	})
}

// signed is repositories with a signature: one that is sound, and one of other bytes.
func signed() (map[string][]byte, error) {
	sound := tiny("llama").encode()
	other := append([]byte{}, sound...)
	other[len(other)-1] ^= 1
	files := map[string][]byte{}
	for name, weights := range map[string][]byte{"sound": sound, "of-other-bytes": other} {
		text, err := modelSignature(map[string][]byte{"model.gguf": weights, "README.md": []byte("# A signed model\n")})
		if err != nil {
			return nil, err
		}
		at := "signed/" + name + "/"
		files[at+".refs"] = []byte("main " + brokenCommit + "\n")
		files[at+brokenCommit+"/model.gguf"] = sound
		files[at+brokenCommit+"/README.md"] = []byte("# A signed model\n")
		files[at+brokenCommit+"/model.sig"] = text
	}
	return files, nil
}
