package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// issueIdentity signs a client certificate for the operator with the cluster's authority and writes a kubeconfig that uses it.
func (b *bench) issueIdentity() error {
	certificate, key, err := b.sign(operatorUser, []string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace})
	if err != nil {
		return fmt.Errorf("failed to make the operator's certificate: %w", err)
	}
	config := api.NewConfig()
	config.Clusters["bench"] = &api.Cluster{Server: b.config.Host, CertificateAuthorityData: b.config.CAData}
	config.AuthInfos["operator"] = &api.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts["bench"] = &api.Context{Cluster: "bench", AuthInfo: "operator"}
	config.CurrentContext = "bench"
	return clientcmd.WriteToFile(*config, b.file("operator.kubeconfig"))
}

func (b *bench) sign(name string, groups []string) (certificate, key []byte, err error) {
	authority, signer, err := b.authority()
	if err != nil {
		return nil, nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, private.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

func (b *bench) authority() (*x509.Certificate, any, error) {
	block := func(name string) ([]byte, error) {
		content, err := os.ReadFile(filepath.Join(b.state, "certs", name))
		if err != nil {
			return nil, err
		}
		decoded, _ := pem.Decode(content)
		if decoded == nil {
			return nil, fmt.Errorf("%s holds no PEM", name)
		}
		return decoded.Bytes, nil
	}
	der, err := block("ca.crt")
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := block("ca.key")
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(encoded)
	return certificate, key, err
}
