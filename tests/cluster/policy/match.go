package policy

import (
	"math"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func equal(data []byte) *expr.Cmp {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

func verdict(kind expr.VerdictKind) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind}}
}

func family(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{number})}
}

// device matches the name of an interface, which the kernel keeps in 16 bytes filled up with zeros.
func device(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(padded)}
}

// through looks an address up in a map of verdicts and does as it says.
func through(offset uint32, set *nftables.Set) []expr.Any {
	return []expr.Any{load(offset), &expr.Lookup{SourceRegister: 1, DestRegister: 0, IsDestRegSet: true, SetName: set.Name, SetID: set.ID}}
}

func state(bits uint32) []expr.Any {
	mask := binaryutil.NativeEndian.PutUint32(bits)
	none := binaryutil.NativeEndian.PutUint32(0)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: none},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: none},
	}
}

// replyDirection is IP_CT_DIR_REPLY of the kernel.
const replyDirection = 1

// answer matches the packets of a known connection that go back to who opened it.
func answer() []expr.Any {
	return append(state(expr.CtStateBitESTABLISHED), &expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, equal([]byte{replyDirection}))
}

// protocolAndPorts matches the protocol and, at the place where TCP, UDP and SCTP alike have it, the destination port.
func protocolAndPorts(allow Allow) []expr.Any {
	if allow.Protocol == 0 {
		return nil
	}
	match := []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{allow.Protocol})}
	if allow.From == 0 && allow.To == math.MaxUint16 {
		return match
	}
	match = append(match, &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	first, last := binaryutil.BigEndian.PutUint16(allow.From), binaryutil.BigEndian.PutUint16(allow.To)
	if allow.From == allow.To {
		return append(match, equal(first))
	}
	return append(match, &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: first, ToData: last})
}
