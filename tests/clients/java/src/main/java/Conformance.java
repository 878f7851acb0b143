// Runs the cases of conformance through the code that is generated for Java; conformance.py says how.

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.holdfast.v1.BatchProcessorServiceGrpc;
import dev.holdfast.v1.CounterServiceGrpc;
import dev.holdfast.v1.ObjectServiceGrpc;
import dev.holdfast.v1.RateLimiterServiceGrpc;
import dev.holdfast.v1.UserCacheServiceGrpc;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.grpc.StatusException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.ClientCalls;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

public final class Conformance {
  private static final long TIMEOUT_MS = 20_000;
  private static final List<ServiceDescriptor> SERVICES = List.of(
      BatchProcessorServiceGrpc.getServiceDescriptor(),
      CounterServiceGrpc.getServiceDescriptor(),
      ObjectServiceGrpc.getServiceDescriptor(),
      RateLimiterServiceGrpc.getServiceDescriptor(),
      UserCacheServiceGrpc.getServiceDescriptor());
  // JSON tells what is in an Any, if it knows the types.
  private static final JsonFormat.Printer PRINTER = JsonFormat.printer().usingTypeRegistry(
      JsonFormat.TypeRegistry.newBuilder()
          .add(ErrorInfo.getDescriptor())
          .add(BadRequest.getDescriptor())
          .add(RetryInfo.getDescriptor())
          .build());

  private final Map<String, ManagedChannel> channels = new HashMap<>();

  private static String variable(String name) {
    String value = System.getenv(name);
    if (value == null) throw new IllegalStateException(name + " is not set");
    return value;
  }

  private static String read(String path) throws IOException {
    return Files.readString(Path.of(path));
  }

  // The bearer token of each call.
  private static final class Token extends CallCredentials {
    private static final Metadata.Key<String> KEY =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private final String token;

    Token(String token) {
      this.token = token;
    }

    @Override
    public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
      Metadata headers = new Metadata();
      headers.put(KEY, "Bearer " + token);
      applier.apply(headers);
    }
  }

  // The channel of a principal: "writer", "reader", "nobody", "flaky" and "flaky-reads".
  private ManagedChannel channel(String who) throws IOException {
    ManagedChannel known = channels.get(who);
    if (known != null) return known;
    String config = who.equals("flaky-reads") ? "service_config.json" : "service_config_with_ids.json";
    String address = variable(who.startsWith("flaky") ? "HOLDFAST_FLAKY" : "HOLDFAST_ADDRESS");
    ManagedChannel made =
        Grpc.newChannelBuilder(
                address,
                TlsChannelCredentials.newBuilder().trustManager(new File(variable("HOLDFAST_CA"))).build())
            .defaultServiceConfig(configOf(read(variable("HOLDFAST_CONFIGS") + "/" + config)))
            .enableRetry()
            .build();
    channels.put(who, made);
    return made;
  }

  // gRPC takes a service config as maps and lists, with numbers as Double.
  @SuppressWarnings("unchecked")
  private static Map<String, ?> configOf(String json) {
    return new com.google.gson.Gson().fromJson(json, Map.class);
  }

  private static CallOptions optionsOf(JsonObject step, String who) throws IOException {
    long timeoutMs = step.has("timeoutMs") ? step.get("timeoutMs").getAsLong() : TIMEOUT_MS;
    CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(timeoutMs, TimeUnit.MILLISECONDS);
    if (who.equals("nobody")) return options;
    String file = variable(who.equals("reader") ? "HOLDFAST_READER_TOKEN" : "HOLDFAST_TOKEN");
    return options.withCallCredentials(new Token(read(file).strip()));
  }

  private static MethodDescriptor<?, ?> methodOf(String name) {
    for (ServiceDescriptor service : SERVICES) {
      for (MethodDescriptor<?, ?> method : service.getMethods()) {
        if (method.getFullMethodName().equals("holdfast.v1." + name)) return method;
      }
    }
    throw new IllegalArgumentException("no method " + name);
  }

  private static JsonElement json(Object message) throws InvalidProtocolBufferException {
    return JsonParser.parseString(PRINTER.print((Message) message));
  }

  @SuppressWarnings("unchecked")
  private JsonObject run(JsonObject step) throws Exception {
    MethodDescriptor<Message, Message> method =
        (MethodDescriptor<Message, Message>) methodOf(step.get("method").getAsString());
    String who = step.has("as") ? step.get("as").getAsString() : "writer";
    JsonArray requests = step.has("requests") ? step.getAsJsonArray("requests") : new JsonArray();
    if (step.has("request")) requests.add(step.get("request"));
    int take = step.has("take") ? step.get("take").getAsInt() : 0;
    MethodDescriptor.PrototypeMarshaller<Message> marshaller =
        (MethodDescriptor.PrototypeMarshaller<Message>) method.getRequestMarshaller();

    Headers headers = new Headers();
    BlockingClientCall<Message, Message> call = ClientCalls.blockingBidiStreamingCall(
        io.grpc.ClientInterceptors.intercept(channel(who), headers),
        method.toBuilder().setType(MethodDescriptor.MethodType.BIDI_STREAMING).build(),
        optionsOf(step, who));
    JsonArray replies = new JsonArray();
    JsonObject outcome = new JsonObject();
    StatusException failed = null;
    try {
      for (JsonElement request : requests) {
        Message.Builder builder = marshaller.getMessagePrototype().newBuilderForType();
        JsonFormat.parser().merge(request.toString(), builder);
        if (!call.write(builder.build())) break;
      }
      call.halfClose();
      while (take == 0 || replies.size() < take) {
        Message reply = call.read();
        if (reply == null) break;
        replies.add(json(reply));
      }
      if (take != 0) call.cancel("enough", null);
    } catch (StatusException error) {
      failed = error;
    }
    boolean streams = !method.getType().serverSendsOneMessage();
    if (streams) outcome.add("replies", replies);
    if (failed != null) {
      outcome.add("error", failureOf(failed));
    } else if (!streams) {
      outcome.add("reply", replies.get(0));
      if (headers.replayed) outcome.addProperty("replayed", true);
    }
    return outcome;
  }

  // Looks at the headers of the answer.
  private static final class Headers implements io.grpc.ClientInterceptor {
    private static final Metadata.Key<String> KEY =
        Metadata.Key.of("holdfast-replayed", Metadata.ASCII_STRING_MARSHALLER);
    private volatile boolean replayed;

    @Override
    public <Q, P> ClientCall<Q, P> interceptCall(MethodDescriptor<Q, P> method, CallOptions options, io.grpc.Channel next) {
      return new io.grpc.ForwardingClientCall.SimpleForwardingClientCall<Q, P>(next.newCall(method, options)) {
        @Override
        public void start(Listener<P> listener, Metadata sent) {
          super.start(
              new io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener<P>(listener) {
                @Override
                public void onHeaders(Metadata got) {
                  replayed = "1".equals(got.get(KEY));
                  super.onHeaders(got);
                }
              },
              sent);
        }
      };
    }
  }

  private static JsonObject failureOf(StatusException error) throws InvalidProtocolBufferException {
    JsonObject failure = new JsonObject();
    failure.addProperty("code", error.getStatus().getCode().name());
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    if (status == null) return failure;
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        ErrorInfo info = detail.unpack(ErrorInfo.class);
        failure.addProperty("reason", info.getReason());
        JsonObject metadata = new JsonObject();
        info.getMetadataMap().forEach(metadata::addProperty);
        if (metadata.size() > 0) failure.add("metadata", metadata);
      } else if (detail.is(BadRequest.class)) {
        JsonArray fields = new JsonArray();
        for (BadRequest.FieldViolation violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          fields.add(violation.getField());
        }
        failure.add("fields", fields);
      } else if (detail.is(RetryInfo.class)) {
        failure.addProperty("retry", true);
      }
    }
    return failure;
  }

  // The text at a path as "entries.0.etag".
  private static String at(JsonElement value, String path) {
    for (String part : path.split("\\.")) {
      value = value.isJsonArray()
          ? value.getAsJsonArray().get(Integer.parseInt(part))
          : value.getAsJsonObject().get(part);
    }
    return value.getAsString();
  }

  public static void main(String[] arguments) throws Exception {
    Conformance runner = new Conformance();
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    String text = read(arguments[0]).replace("$RUN", variable("HOLDFAST_RUN"));
    for (JsonElement one : JsonParser.parseString(text).getAsJsonArray()) {
      Map<String, String> saved = new HashMap<>();
      JsonArray outcomes = new JsonArray();
      for (JsonElement each : one.getAsJsonObject().getAsJsonArray("steps")) {
        String filled = each.toString();
        for (Map.Entry<String, String> entry : saved.entrySet()) {
          filled = filled.replace("${" + entry.getKey() + "}", entry.getValue());
        }
        JsonObject step = JsonParser.parseString(filled).getAsJsonObject();
        JsonObject outcome = runner.run(step);
        outcomes.add(outcome);
        if (step.has("save")) {
          for (Map.Entry<String, JsonElement> entry : step.getAsJsonObject("save").entrySet()) {
            JsonElement from = outcome.has("reply") ? outcome.get("reply") : outcome.get("replies");
            saved.put(entry.getKey(), at(from, entry.getValue().getAsString()));
          }
        }
      }
      JsonObject line = new JsonObject();
      line.add("case", one.getAsJsonObject().get("case"));
      line.add("outcomes", outcomes);
      out.println(line);
    }
    for (ManagedChannel channel : runner.channels.values()) channel.shutdownNow();
  }
}
