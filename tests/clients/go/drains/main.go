// Stops a server again and again while it is under load, and checks the answers that its clients get: the result of a
// call, or UNAVAILABLE with the reason DRAINING, or, once the server listens no more, a refused connection. No other
// answer may come, and the counter must be equal to the results.
//
//	drains -server HOLDFASTD [-drains 200] [-calls 64]
//
// In a drain `calls` unary calls are under way over four connections, beside streams of increments, watches of alarms
// and large requests. The program ends with 0 when all answers were right, else with 1 and a line for each kind of
// wrong answer.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	holdfast "holdfast/tests/clients/go/gen/holdfast/v1"
)

const (
	connections = 4
	callTimeout = 20 * time.Second
	startsIn    = 20 * time.Second
	endsIn      = 40 * time.Second
)

// tally counts the answers to the clients of all drains.
type tally struct {
	mutex    sync.Mutex
	ok       int64
	draining int64
	refused  int64
	others   map[string]int64 // by the text of the answer
}

func (t *tally) add(kind string, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	switch {
	case err == nil:
		t.ok++
	case reasonOf(err) == "DRAINING":
		t.draining++
	case nobodyListens(err):
		t.refused++
	default:
		t.others[kind+": "+err.Error()]++
	}
}

func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && status.Code(err) == codes.Unavailable {
			return info.GetReason()
		}
	}
	return ""
}

// nobodyListens reports whether the call was never sent, since no connection could be made.
func nobodyListens(err error) bool {
	return status.Code(err) == codes.Unavailable && (strings.Contains(err.Error(), "connection refused") ||
		strings.Contains(err.Error(), "error reading server preface"))
}

type server struct {
	process *exec.Cmd
	address string
}

func start(program, folder string) (*server, error) {
	config := filepath.Join(folder, "holdfast.textproto")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	listener.Close()
	text := fmt.Sprintf("listen: %q\ndata_dir: %q\n", address, filepath.Join(folder, "data"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	process := exec.Command(program, "--config", config)
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return nil, err
	}
	for until := time.Now().Add(startsIn); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if connection, err := net.Dial("tcp", address); err == nil {
			connection.Close()
			return &server{process, address}, nil
		}
	}
	process.Process.Kill()
	process.Wait()
	return nil, fmt.Errorf("the server does not listen")
}

func (s *server) stop() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.AfterFunc(endsIn, func() { s.process.Process.Kill() })
	defer timer.Stop()
	return s.process.Wait()
}

// repeat is one client of the load: it calls `once` until the server has ended and nobody listens.
func repeat(ctx context.Context, wait *sync.WaitGroup, once func(context.Context)) {
	wait.Add(1)
	go func() {
		defer wait.Done()
		for ctx.Err() == nil {
			call, cancel := context.WithTimeout(context.Background(), callTimeout)
			once(call)
			cancel()
		}
	}()
}

func increment(ctx context.Context, client holdfast.CounterServiceClient, counted *tally) {
	_, err := client.Increment(ctx, &holdfast.IncrementRequest{Object: &holdfast.ObjectRef{Name: "counter"}})
	counted.add("Increment", err)
}

func put(ctx context.Context, client holdfast.ObjectServiceClient, object int, value []byte, told *tally) {
	_, err := client.PutEntries(ctx, &holdfast.PutEntriesRequest{
		Object:  &holdfast.ObjectId{Name: fmt.Sprint("object", object)},
		Entries: []*holdfast.Entry{{Key: "key", Value: value}},
	})
	told.add("PutEntries", err)
}

func stream(ctx context.Context, client holdfast.CounterServiceClient, counted, told *tally) {
	items, err := client.StreamIncrement(ctx)
	for sent := 0; err == nil && sent < 50; sent++ {
		err = items.Send(&holdfast.StreamIncrementRequest{
			Increment: &holdfast.IncrementRequest{Object: &holdfast.ObjectRef{Name: "counter"}},
		})
		if err != nil && err != io.EOF {
			break
		}
		var reply *holdfast.StreamIncrementResponse
		if reply, err = items.Recv(); err != nil {
			break
		}
		if failed := reply.GetResult().GetError(); failed != nil {
			err = fmt.Errorf("item: %v", failed)
			break
		}
		counted.add("StreamIncrement", nil)
	}
	if err == nil {
		items.CloseSend()
		if _, err = items.Recv(); err == io.EOF {
			err = nil
		}
	}
	told.add("StreamIncrement", err)
}

func watch(ctx context.Context, client holdfast.ObjectServiceClient, told *tally) {
	alarms, err := client.WatchAlarms(ctx, &holdfast.WatchAlarmsRequest{})
	for err == nil {
		_, err = alarms.Recv()
	}
	told.add("WatchAlarms", err)
}

// value returns the counter's value, which the server tells.
func value(address string) (int64, error) {
	connection, err := grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	reply, err := holdfast.NewCounterServiceClient(connection).GetValue(ctx,
		&holdfast.GetValueRequest{Object: &holdfast.ObjectRef{Name: "counter"}}, grpc.WaitForReady(true))
	return reply.GetValue(), err
}

func drain(program, folder string, calls int, random *rand.Rand, counted, told *tally) error {
	running, err := start(program, folder)
	if err != nil {
		return err
	}
	before := counted.ok
	if has, err := value(running.address); err != nil || has != before {
		return fmt.Errorf("the counter is %d, the results are %d (%v)", has, before, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	large := make([]byte, 100_000)
	for i := 0; i < connections; i++ {
		connection, err := grpc.Dial(running.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			cancel()
			return err
		}
		defer connection.Close()
		counters := holdfast.NewCounterServiceClient(connection)
		objects := holdfast.NewObjectServiceClient(connection)
		for n := 0; n < calls/connections; n++ {
			repeat(ctx, &wait, func(call context.Context) { increment(call, counters, counted) })
		}
		object := i
		repeat(ctx, &wait, func(call context.Context) { put(call, objects, object, large, told) })
		repeat(ctx, &wait, func(call context.Context) { stream(call, counters, counted, told) })
		repeat(ctx, &wait, func(call context.Context) { watch(call, objects, told) })
	}
	time.Sleep(time.Duration(30+random.Intn(120)) * time.Millisecond)
	ended := running.stop()
	// Calls that come after the end find no server.
	time.Sleep(20 * time.Millisecond)
	cancel()
	wait.Wait()
	return ended
}

func main() {
	program := flag.String("server", "", "the path of holdfastd")
	drains := flag.Int("drains", 200, "how often the server is stopped")
	calls := flag.Int("calls", 64, "unary calls under way")
	seed := flag.Int64("seed", time.Now().UnixNano(), "of the times at which it is stopped")
	flag.Parse()
	folder, err := os.MkdirTemp("", "drains")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d drains with %d calls under way, seed %d\n", *drains, *calls, *seed)
	random := rand.New(rand.NewSource(*seed))
	counted, told := &tally{others: map[string]int64{}}, &tally{others: map[string]int64{}}
	failed := false
	for i := 0; i < *drains; i++ {
		if err := drain(*program, folder, *calls, random, counted, told); err != nil {
			fmt.Printf("drain %d: %v\n", i, err)
			failed = true
			break
		}
	}
	if last, err := start(*program, folder); err != nil {
		fmt.Println(err)
		failed = true
	} else {
		has, err := value(last.address)
		fmt.Printf("the counter is %d, the results are %d\n", has, counted.ok)
		failed = failed || err != nil || has != counted.ok
		if err := last.stop(); err != nil {
			fmt.Println(err)
			failed = true
		}
	}
	for name, one := range map[string]*tally{"increments": counted, "others": told} {
		fmt.Printf("%s: %d OK, %d DRAINING, %d with nobody listening\n", name, one.ok, one.draining, one.refused)
		var said []string
		for what, times := range one.others {
			said = append(said, fmt.Sprintf("  %d times %s", times, what))
		}
		sort.Strings(said)
		fmt.Println(strings.Join(append(said, ""), "\n"))
		failed = failed || len(said) > 0 || one.draining == 0
	}
	if failed {
		fmt.Println("data and log: " + folder)
		os.Exit(1)
	}
	os.RemoveAll(folder)
}
