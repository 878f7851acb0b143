// BatchProcessorService: each call is for one BatchProcessor.

#include "actors/objects/batch_processor.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {

using actors::BatchProcessor;

void AddBatchProcessorRpcs(Extension* extension) {
  const actors::ObjectClass* const batch = &BatchProcessor::Class();
  extension->object_classes.push_back(batch);

  RpcRows<v1::BatchProcessorService> rows;
  rows.Unary<&BatchProcessor::AddItems>("AddItems", Verb::kWrite, batch);
  rows.Unary<&BatchProcessor::ConfigureBatch>("ConfigureBatch", Verb::kWrite, batch);
  rows.Unary<&BatchProcessor::FlushBatch>("FlushBatch", Verb::kWrite, batch);
  rows.Unary<&BatchProcessor::ListProcessedItems>("ListProcessedItems", Verb::kRead, batch);
  rows.Unary<&BatchProcessor::TrimProcessedItems>("TrimProcessedItems", Verb::kWrite, batch);
  rows.Unary<&BatchProcessor::GetBatchStatus>("GetBatchStatus", Verb::kRead, batch);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
