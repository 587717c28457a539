package demo

import (
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers every name below demo.test with 127.0.0.1 and remembers
// which names it was asked for.
type nameServer struct {
	conn net.PacketConn
	mu   sync.Mutex
	seen map[string]bool
}

func startNameServer() (*nameServer, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nameServer{conn: conn, seen: map[string]bool{}}
	go s.serve()
	return s, nil
}

func (s *nameServer) address() string { return s.conn.LocalAddr().String() }

// asked reports whether anybody wanted to know the name's address.
func (s *nameServer) asked(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[name]
}

func (s *nameServer) serve() {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if answer, err := s.answer(packet[:n]); err == nil {
			s.conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) answer(query []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	message.Response = true
	message.Additionals = nil
	for _, q := range message.Questions {
		name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
		s.mu.Lock()
		s.seen[name] = true
		s.mu.Unlock()
		if q.Type == dnsmessage.TypeA && strings.HasSuffix(name, ".demo.test") {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr("127.0.0.1").As4()},
			})
		}
	}
	return message.Pack()
}
